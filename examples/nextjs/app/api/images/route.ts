import { ApiError, submit } from "../../../lib/poyo";

// Anyone who can reach this route can spend your credits: protect it with your own sign-in.
export async function POST(request: Request): Promise<Response> {
  const body = (await request.json().catch(() => null)) as { prompt?: unknown } | null;
  const prompt = body?.prompt;
  if (typeof prompt !== "string" || !prompt.trim() || prompt.length > 2000) {
    return Response.json({ error: "prompt must have 1 to 2000 characters" }, { status: 400 });
  }
  try {
    const { task_id, status } = await submit(prompt);
    return Response.json({ task_id, status }, { status: 202 });
  } catch (error) {
    if (error instanceof ApiError) {
      return Response.json({ error: error.message }, { status: error.status });
    }
    throw error;
  }
}
