import { read } from "../../../../lib/poyo";
import { signedBy } from "../../../../lib/signature";

type Callback = { task_id?: unknown; data?: { task_id?: unknown } };

// Told when a task has ended. The signature says who calls and about which task, not how it ended:
// that is read with our own key. The same callback may come twice.
export async function POST(request: Request): Promise<Response> {
  const body = (await request.json().catch(() => null)) as Callback | null;
  const taskId = body?.data?.task_id ?? body?.task_id;
  const secret = process.env.POYO_WEBHOOK_SECRET ?? "";
  if (typeof taskId !== "string" || !signedBy(secret, taskId, request.headers)) {
    return Response.json({ error: "not signed by the image service" }, { status: 401 });
  }
  const task = await read(taskId);
  console.log(`${taskId} is ${task.status}`); // here: tell your user, store task.files[0].file_url
  return Response.json({ task_id: taskId, status: task.status });
}
