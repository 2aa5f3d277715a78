"use client";

import { useState, type FormEvent } from "react";

type Shown = { status: string; file_url?: string; error?: string | null };

const pollMs = 3000;

export default function Page() {
  const [shown, setShown] = useState<Shown>();

  async function order(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const prompt = new FormData(event.currentTarget).get("prompt");
    setShown({ status: "ordering" });
    const ordered = await fetch("/api/images", { method: "POST", body: JSON.stringify({ prompt }) });
    const { task_id, error } = await ordered.json();
    if (!ordered.ok) return setShown({ status: "rejected", error });
    for (;;) {
      const response = await fetch(`/api/images/${task_id}`);
      if (response.ok) {
        const task: Shown = await response.json();
        setShown(task);
        if (task.status === "finished" || task.status === "failed") return;
      }
      await new Promise((resolve) => setTimeout(resolve, pollMs));
    }
  }

  const busy = shown && !["finished", "failed", "rejected"].includes(shown.status);
  return (
    <main>
      <form onSubmit={order}>
        <input name="prompt" required maxLength={2000} defaultValue="A paper boat on a calm lake" size={40} />
        <button disabled={busy}>Make an image</button>
      </form>
      <p role="status">{shown?.error ?? shown?.status}</p>
      {shown?.file_url && <img src={shown.file_url} alt="The ordered image" style={{ maxWidth: "100%" }} />}
    </main>
  );
}
