// The image API as this server calls it. The key stays here: nothing in this file runs in a browser.

export type Task = {
  task_id: string;
  status: "not_started" | "running" | "finished" | "failed";
  progress?: number | null;
  files: { file_url: string; file_type: string }[];
  error_message?: string | null;
};

type Answer<T> = { code: number; data?: T; error?: { message: string; type: string } };

/** What it said no with; `status` is fit to be passed on. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

/** Order an image. Sent once: a second submit would be a second, paid task. */
export async function submit(prompt: string): Promise<Pick<Task, "task_id" | "status">> {
  const input = { prompt, quality: "low", size: "1:1", resolution: "1K" };
  const order = { model: "gpt-image-2", input, callback_url: callbackUrl() };
  return call("/api/generate/submit", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(order),
  });
}

/** The task as it stands. */
export async function read(taskId: string): Promise<Task> {
  return call(`/api/generate/status/${encodeURIComponent(taskId)}`);
}

/** Where this site is called back, if it says where it can be reached from outside. */
function callbackUrl(): string | undefined {
  const site = process.env.PUBLIC_URL?.replace(/\/+$/, "");
  return site ? `${site}/api/poyo/callback` : undefined;
}

async function call<T>(path: string, request: RequestInit = {}): Promise<T> {
  const answer = await fetch(required("POYO_BASE_URL").replace(/\/+$/, "") + path, {
    ...request,
    headers: { ...request.headers, Authorization: `Bearer ${required("POYO_API_KEY")}` },
    cache: "no-store",
    signal: AbortSignal.timeout(30_000),
  });
  const body = (await answer.json().catch(() => null)) as Answer<T> | null;
  if (!answer.ok || !body?.data || ![0, 200].includes(body.code)) {
    const said = body?.error?.message ?? "the image service gave no answer that could be read";
    throw new Refused(answer.status >= 400 ? answer.status : 502, said);
  }
  return body.data;
}

function required(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set`);
  return value;
}
