// Order an image, wait until it is finished, save it.
//
//   POYO_BASE_URL=… POYO_API_KEY=… node generate.mjs A paper boat on a calm lake

import { writeFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

const baseUrl = required("POYO_BASE_URL").replace(/\/+$/, "");
const key = { Authorization: `Bearer ${required("POYO_API_KEY")}` };
// The key is not for whoever keeps the files; some file hosts turn a library's own name away.
const browser = { "User-Agent": "Mozilla/5.0 (compatible; imagetasks-example)", Accept: "image/*" };
const patienceMs = 30 * 60 * 1000; // usually a minute or two, sometimes many
const pollMs = 3000;
const again = [429, 500, 502, 503, 504]; // when only asking, it costs nothing to ask again

const taskId = await submit(process.argv.slice(2).join(" ") || "A paper boat on a calm lake");
console.log(`${taskId} is ordered`);
const task = await ended(taskId);
if (task.status === "failed") stop(`${taskId} failed: ${task.error_message}`);
console.log(`saved ${await save(taskId, task.files[0].file_url)}`);

// Sent once: a second submit would be a second, paid task.
async function submit(prompt) {
  const input = { prompt, quality: "low", size: "1:1", resolution: "1K" };
  const answer = await fetch(`${baseUrl}/api/generate/submit`, {
    method: "POST",
    headers: { ...key, "Content-Type": "application/json" },
    body: JSON.stringify({ model: "gpt-image-2", input }),
    signal: AbortSignal.timeout(30_000),
  });
  return (await dataOf(answer)).task_id;
}

async function ended(id) {
  const until = Date.now() + patienceMs;
  while (Date.now() < until) {
    const task = await status(id);
    if (task && ["finished", "failed"].includes(task.status)) return task;
    await sleep(pollMs);
  }
  stop(`${id} is still not finished; ask for it again later`);
}

// null: could not be learned just now.
async function status(id) {
  const url = `${baseUrl}/api/generate/status/${id}`;
  const signal = AbortSignal.timeout(30_000);
  const answer = await fetch(url, { headers: key, signal }).catch(() => null);
  return !answer || again.includes(answer.status) ? null : dataOf(answer);
}

async function save(id, url) {
  const answer = await fetch(url, { headers: browser, signal: AbortSignal.timeout(120_000) });
  if (!answer.ok) stop(`HTTP ${answer.status} for the file`);
  const path = `${id}.png`;
  await writeFile(path, Buffer.from(await answer.arrayBuffer()));
  return path;
}

async function dataOf(answer) {
  const text = await answer.text();
  const body = parsed(text);
  if (!answer.ok || ![0, 200].includes(body?.code)) stop(`HTTP ${answer.status}: ${text.slice(0, 500)}`);
  return body.data;
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function required(name) {
  return process.env[name] || stop(`${name} is not set`);
}

function stop(why) {
  console.error(why);
  process.exit(1);
}
