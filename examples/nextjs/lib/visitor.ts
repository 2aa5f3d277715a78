export const visitorCookie = "visitor";

/** The owner of this browser's images, or null. A site with a login returns the user of its session instead. */
export function visitorOf(request: Request): string | null {
  const found = /(?:^|;\s*)visitor=([0-9a-f-]{36})(?:;|$)/.exec(request.headers.get("cookie") ?? "");
  return found?.[1] ? `visitor-${found[1]}` : null;
}
