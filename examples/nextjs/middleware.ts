import { NextResponse, type NextRequest } from "next/server";
import { visitorCookie } from "./lib/visitor";

/** Gives each browser a random name, which nobody can guess and no script of the page can read. */
export function middleware(request: NextRequest): NextResponse {
  const response = NextResponse.next();
  if (!request.cookies.has(visitorCookie)) {
    response.cookies.set(visitorCookie, crypto.randomUUID(), { httpOnly: true, sameSite: "lax", maxAge: 31_536_000 });
  }
  return response;
}

export const config = { matcher: "/" };
