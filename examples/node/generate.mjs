// Orders an image, waits until it is finished and saves it.
//
//   POYO_BASE_URL=… POYO_API_KEY=… node generate.mjs A paper boat on a calm lake

import { writeFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

const baseUrl = required("POYO_BASE_URL").replace(/\/+$/, "");
const key = { Authorization: `Bearer ${required("POYO_API_KEY")}` };
// File requests carry no key, which the file host must not see. Some file hosts reject a library's User-Agent.
const fileHeaders = { "User-Agent": "Mozilla/5.0 (compatible; imagetasks-example)", Accept: "image/*" };
const timeoutMs = 30 * 60 * 1000; // an image usually takes one or two minutes, sometimes many more
const pollMs = 3000;
const retryable = [429, 500, 502, 503, 504]; // reading the status again is free

const taskId = await submit(process.argv.slice(2).join(" ") || "A paper boat on a calm lake");
console.log(`${taskId} ordered`);
const task = await waitUntilEnded(taskId);
if (task.status === "failed") stop(`${taskId} failed: ${task.error_message}`);
console.log(`saved ${await save(taskId, task.files[0].file_url)}`);

// Never retried: a second submit would create and charge a second task.
async function submit(prompt) {
  const input = { prompt, quality: "low", size: "1:1", resolution: "1K" };
  const response = await fetch(`${baseUrl}/api/generate/submit`, {
    method: "POST",
    headers: { ...key, "Content-Type": "application/json" },
    body: JSON.stringify({ model: "gpt-image-2", input }),
    signal: AbortSignal.timeout(30_000),
  });
  return (await dataOf(response)).task_id;
}

async function waitUntilEnded(id) {
  const until = Date.now() + timeoutMs;
  while (Date.now() < until) {
    const task = await status(id);
    if (task && ["finished", "failed"].includes(task.status)) return task;
    await sleep(pollMs);
  }
  stop(`${id} is not finished yet; read its status again later`);
}

// null: the request failed and can be retried.
async function status(id) {
  const url = `${baseUrl}/api/generate/status/${id}`;
  const signal = AbortSignal.timeout(30_000);
  const response = await fetch(url, { headers: key, signal }).catch(() => null);
  return !response || retryable.includes(response.status) ? null : dataOf(response);
}

async function save(id, url) {
  const response = await fetch(url, { headers: fileHeaders, signal: AbortSignal.timeout(120_000) });
  if (!response.ok) stop(`HTTP ${response.status} for the file`);
  const path = `${id}.png`;
  await writeFile(path, Buffer.from(await response.arrayBuffer()));
  return path;
}

async function dataOf(response) {
  const text = await response.text();
  const body = parsed(text);
  if (!response.ok || ![0, 200].includes(body?.code)) stop(`HTTP ${response.status}: ${text.slice(0, 500)}`);
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

function stop(reason) {
  console.error(reason);
  process.exit(1);
}
