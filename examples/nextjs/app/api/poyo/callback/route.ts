import { read } from "../../../../lib/poyo";
import { signedBy } from "../../../../lib/signature";

type Notification = { task_id?: unknown; data?: { task_id?: unknown } };

// Receives the notification that a task has ended. The signature proves the sender and the task id, not the
// outcome, so the route reads the task with its own key. The same notification may arrive twice.
export async function POST(request: Request): Promise<Response> {
  const body = (await request.json().catch(() => null)) as Notification | null;
  const taskId = body?.data?.task_id ?? body?.task_id;
  const secret = process.env.POYO_WEBHOOK_SECRET ?? "";
  if (typeof taskId !== "string" || !signedBy(secret, taskId, request.headers)) {
    return Response.json({ error: "not signed by the image service" }, { status: 401 });
  }
  const task = await read(taskId);
  console.log(`${taskId} is ${task.status}`); // here: notify your user, store task.files[0].file_url
  return Response.json({ task_id: taskId, status: task.status });
}
