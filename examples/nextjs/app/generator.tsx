"use client";

import { ApiError, createClient, TaskFailedError, type Task } from "imagetasks";
import { useTask } from "imagetasks/react";
import { useEffect, useMemo, useState, type FormEvent } from "react";

const lastTask = "last-task";

/** A form that orders one image and shows it. Neither a reload nor a lost connection loses or repeats the order. */
export function Generator({ baseUrl }: { baseUrl: string }) {
  const client = useMemo(() => createClient({ baseUrl, authUrl: "/api/token" }), [baseUrl]);
  const [taskId, setTaskId] = useState<string>();
  const [ordering, setOrdering] = useState(false);
  const [refusal, setRefusal] = useState<unknown>();
  const { task, error } = useTask(taskId, { client });

  function show(ordered: Task) {
    localStorage.setItem(lastTask, ordered.task_id);
    setTaskId(ordered.task_id);
  }

  useEffect(() => {
    setTaskId(localStorage.getItem(lastTask) ?? undefined);
    // Orders that were sent before a reload and whose response did not arrive.
    const resume = async () => {
      for (const { task } of await client.outbox(localStorage).resume()) if (task) show(task);
    };
    void resume();
    addEventListener("online", resume);
    return () => removeEventListener("online", resume);
  }, [client]);

  async function order(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const prompt = String(form.get("prompt"));
    const file = form.get("file");
    const images = file instanceof File && file.size ? [file] : [];
    setOrdering(true);
    setRefusal(undefined);
    try {
      const input = { prompt, quality: "low", ...(images.length && { image_urls: images }) };
      const model = images.length ? "gpt-image-2-edit" : "gpt-image-2";
      show(await client.outbox(localStorage).send({ model, input, maxCredits: 10 }));
    } catch (reason) {
      setRefusal(reason);
    } finally {
      setOrdering(false);
    }
  }

  const busy = ordering || (task !== undefined && !error && !["finished", "failed"].includes(task.status));
  const image = task?.files[0];
  return (
    <main>
      <form onSubmit={order}>
        <label>
          Prompt <input name="prompt" required maxLength={2000} defaultValue="A paper boat on a calm lake" size={40} />
        </label>
        <label>
          Image to change <input name="file" type="file" accept="image/png,image/jpeg,image/webp" />
        </label>
        <button disabled={busy}>Make an image</button>
      </form>
      <p role="status">{explain(refusal ?? error) ?? (ordering ? "ordering" : task?.status)}</p>
      {image && (
        <img src={image.file_url} width={image.width} height={image.height} alt={String(task.input.prompt)} style={{ maxWidth: "100%", height: "auto" }} />
      )}
    </main>
  );
}

function explain(error: unknown): string | undefined {
  if (error instanceof TaskFailedError) return error.message;
  if (error instanceof ApiError) return `${error.message} (${error.code})`;
  return error ? String(error) : undefined;
}
