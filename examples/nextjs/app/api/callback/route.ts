import { createClient } from "imagetasks";
import { signedBy } from "../../../lib/signature";

// Receives the notification that a task has ended. The signature proves the sender and the task id, not the
// outcome, so the route reads the task with its own key. The same notification may arrive twice.
export async function POST(request: Request): Promise<Response> {
  const body = (await request.json().catch(() => null)) as { task_id?: unknown } | null;
  const taskId = body?.task_id;
  const secret = process.env.IMAGETASKS_WEBHOOK_SECRET ?? "";
  if (typeof taskId !== "string" || !signedBy(secret, taskId, request.headers)) {
    return Response.json({ error: "not signed by the image service" }, { status: 401 });
  }
  const client = createClient({ baseUrl: required("IMAGETASKS_URL"), credentials: required("IMAGETASKS_KEY") });
  const task = await client.tasks.get(taskId);
  console.log(`${taskId} is ${task.status}`); // here: tell your user, store task.files[0].file_url
  return Response.json({ task_id: taskId, status: task.status });
}

function required(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set`);
  return value;
}
