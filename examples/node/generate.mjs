// Orders an image, waits until it is finished and saves it.
//
//   IMAGETASKS_URL=… IMAGETASKS_KEY=… node generate.mjs A paper boat on a calm lake
//
// With IDEMPOTENCY_KEY=…, a name of your own for this image, a second run finds the same image and pays nothing.

import { writeFile } from "node:fs/promises";
import { createClient, TaskFailedError } from "imagetasks";

const client = createClient({ baseUrl: required("IMAGETASKS_URL"), credentials: required("IMAGETASKS_KEY") });
const prompt = process.argv.slice(2).join(" ") || "A paper boat on a calm lake";

try {
  const task = await client.subscribe("gpt-image-2", {
    input: { prompt, quality: "low", size: "1:1", resolution: "1K" },
    idempotencyKey: process.env.IDEMPOTENCY_KEY,
    onEnqueue: (taskId) => console.log(`${taskId} ordered`),
    onUpdate: ({ status, progress }) => console.log(progress === null ? status : `${status} ${progress} %`),
  });
  console.log(`saved ${await save(task)}`);
} catch (error) {
  if (error instanceof TaskFailedError) stop(`${error.taskId} failed: ${error.message}`);
  stop([error.message, error.code, error.taskId && `task ${error.taskId}`].filter(Boolean).join(", "));
}

/** The file's URL needs no key. */
async function save({ task_id, files: [file] }) {
  const response = await fetch(file.file_url, { signal: AbortSignal.timeout(120_000) });
  if (!response.ok) throw new Error(`HTTP ${response.status} for the file`);
  const path = `${task_id}.${file.content_type.split("/")[1]}`;
  await writeFile(path, Buffer.from(await response.arrayBuffer()));
  return path;
}

function required(name) {
  return process.env[name] || stop(`${name} is not set`);
}

function stop(reason) {
  console.error(reason);
  process.exit(1);
}
