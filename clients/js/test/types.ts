// Compiled and never run: the types accept what the client takes and reject what it does not.
import { ApiError, createClient, TaskFailedError, TimeoutError, ValidationError } from "imagetasks";
import type { Client, Quote, Task } from "imagetasks";
import { useTask } from "imagetasks/react";
import { createTokenRoute } from "imagetasks/server";

const client: Client = createClient({ baseUrl: "https://images.example", authUrl: "/token", retry: { minDelay: 1 } });
createClient({ baseUrl: "", authCallback: async () => "token" });
createClient({ baseUrl: "", authCallback: async () => ({ token: "t", expires_at: "2026-11-28T12:00:00Z" }) });
// @ts-expect-error: the address of the deployment is missing
createClient({ credentials: "key" });

export async function order(file: File, signal: AbortSignal): Promise<string | undefined> {
  const task: Task = await client.subscribe("gpt-image-2", {
    input: { prompt: "A boat", size: "3:2", image_urls: [file, "https://x.example/1.png"] },
    maxCredits: 5,
    abortSignal: signal,
    onEnqueue: (taskId, key) => localStorage.setItem(taskId, key),
    onUpdate: ({ progress }) => progress?.toFixed(),
  });
  // @ts-expect-error: there is no prompt
  await client.submit("gpt-image-2", { input: {} });
  // @ts-expect-error: progress may be null
  task.progress.toFixed();
  // @ts-expect-error: no such status
  await client.tasks.list({ status: "done" });
  const quote: Quote = await client.quote("gpt-image-2", { prompt: "A boat" });
  for await (const each of client.tasks.watch([task.task_id])) if (each.credits.charged ?? 0 > quote.credits) break;
  for await (const each of client.tasks.iterate({ status: "failed" })) console.log(each.error?.code);
  for (const resumed of await client.outbox(localStorage, { name: "ada" }).resume()) {
    if (resumed.task) resumed.task.status satisfies string;
  }
  return task.files[0]?.file_url;
}

export function explain(error: unknown): string {
  if (error instanceof ValidationError) return Object.values(error.fieldErrors).flat().join();
  if (error instanceof ApiError) return error.retry === "same_key" ? `${error.retryAfter}` : error.code;
  if (error instanceof TaskFailedError) return error.task.error?.message ?? "";
  return error instanceof TimeoutError ? `${error.taskId}` : "";
}

export function useStatus(taskId: string | null): string {
  const { task, error, stop } = useTask(taskId, { client, onComplete: (each) => each.files });
  if (error) stop();
  return task?.status ?? "";
}

export const { POST } = createTokenRoute({ owner: async (request) => request.headers.get("x-user"), maxCredits: 50 });
// @ts-expect-error: a route has to say whose request it is
createTokenRoute({ maxCredits: 50 });
