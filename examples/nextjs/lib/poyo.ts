// Client of the image API. It runs on the server only, so the key never reaches a browser.

export type Task = {
  task_id: string;
  status: "not_started" | "running" | "finished" | "failed";
  progress?: number | null;
  files: { file_url: string; file_type: string }[];
  error_message?: string | null;
};

type Envelope<T> = { code: number; data?: T; error?: { message: string; type: string } };

/** An error response of the API. `status` is an HTTP status that a route may return. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

/** Orders an image. Never retried: a second submit would create and charge a second task. */
export async function submit(prompt: string): Promise<Pick<Task, "task_id" | "status">> {
  const input = { prompt, quality: "low", size: "1:1", resolution: "1K" };
  const order = { model: "gpt-image-2", input, callback_url: callbackUrl() };
  return call("/api/generate/submit", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(order),
  });
}

/** Reads the task. */
export async function read(taskId: string): Promise<Task> {
  return call(`/api/generate/status/${encodeURIComponent(taskId)}`);
}

/** The URL of this site for notifications, if PUBLIC_URL is set. */
function callbackUrl(): string | undefined {
  const site = process.env.PUBLIC_URL?.replace(/\/+$/, "");
  return site ? `${site}/api/poyo/callback` : undefined;
}

async function call<T>(path: string, request: RequestInit = {}): Promise<T> {
  const response = await fetch(required("POYO_BASE_URL").replace(/\/+$/, "") + path, {
    ...request,
    headers: { ...request.headers, Authorization: `Bearer ${required("POYO_API_KEY")}` },
    cache: "no-store",
    signal: AbortSignal.timeout(30_000),
  });
  const body = (await response.json().catch(() => null)) as Envelope<T> | null;
  if (!response.ok || !body?.data || ![0, 200].includes(body.code)) {
    const message = body?.error?.message ?? "the image service sent an invalid response";
    throw new ApiError(response.status >= 400 ? response.status : 502, message);
  }
  return body.data;
}

function required(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set`);
  return value;
}
