"use client";

import { useState, type FormEvent } from "react";

type Seen = { status: string; file_url?: string; error?: string | null };

const pollMs = 3000;

export default function Page() {
  const [seen, setSeen] = useState<Seen>();

  async function order(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const prompt = new FormData(event.currentTarget).get("prompt");
    setSeen({ status: "ordering" });
    const ordered = await fetch("/api/images", { method: "POST", body: JSON.stringify({ prompt }) });
    const { task_id, error } = await ordered.json();
    if (!ordered.ok) return setSeen({ status: "refused", error });
    for (;;) {
      const answer = await fetch(`/api/images/${task_id}`);
      if (answer.ok) {
        const task: Seen = await answer.json();
        setSeen(task);
        if (task.status === "finished" || task.status === "failed") return;
      }
      await new Promise((resolve) => setTimeout(resolve, pollMs));
    }
  }

  const busy = seen && !["finished", "failed", "refused"].includes(seen.status);
  return (
    <main>
      <form onSubmit={order}>
        <input name="prompt" required maxLength={2000} defaultValue="A paper boat on a calm lake" size={40} />
        <button disabled={busy}>Make an image</button>
      </form>
      <p role="status">{seen?.error ?? seen?.status}</p>
      {seen?.file_url && <img src={seen.file_url} alt="What was ordered" style={{ maxWidth: "100%" }} />}
    </main>
  );
}
