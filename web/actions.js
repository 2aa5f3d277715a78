import { asCurl, asJavaScript, asPython } from "./snippets.js";
import { zip } from "./zip.js";

const SUFFIXES = { "image/png": ".png", "image/jpeg": ".jpg", "image/webp": ".webp" };

/** What can be done with a task: `[{ name, run, danger? }]`, in the order of the menu. */
export function actionsOf(task, { base, copy, again, reuse, useAsReference, remove }) {
  const order = { model: task.model, input: task.input };
  const [file] = task.files;
  const known = task.status !== "unsent";
  return [
    { name: "Again", run: () => again(task) },
    { name: "Reuse settings", run: () => reuse(task) },
    file && { name: "Use as reference", run: () => useAsReference(task) },
    { name: "Copy prompt", run: () => copy(task.input.prompt, "Prompt copied") },
    file && { name: "Copy link", run: () => copy(file.file_url, "Link copied") },
    { name: "Copy as cURL", run: () => copy(asCurl(base, order), "Copied as cURL") },
    { name: "Copy as JavaScript", run: () => copy(asJavaScript(base, order), "Copied as JavaScript") },
    { name: "Copy as Python", run: () => copy(asPython(base, order), "Copied as Python") },
    file && { name: "Save", run: () => save(task) },
    known && { name: "Delete", run: () => remove([task.task_id]), danger: true },
  ].filter(Boolean);
}

/** Saves each image of a task under its name. */
export function save({ files }) {
  for (const { file_url } of files) {
    const link = document.createElement("a");
    link.href = `${file_url}?download=1`;
    link.download = "";
    link.click();
  }
}

/** Saves the images of several tasks as one archive. Throws TypeError if the bucket cannot be read from here. */
export async function saveZip(tasks) {
  const wanted = tasks.flatMap(({ task_id, files }) => files.map((file, n) => ({ ...file, name: `${task_id}-${n}${SUFFIXES[file.content_type] ?? ""}` })));
  const files = [];
  for (const { name, file_url } of wanted) {
    // The copy in the cache came for an <img>, without the headers that let this page read it.
    const response = await fetch(file_url, { cache: "no-store" });
    if (!response.ok) throw new TypeError(`HTTP ${response.status}`);
    files.push({ name, bytes: new Uint8Array(await response.arrayBuffer()) });
  }
  const link = document.createElement("a");
  link.href = URL.createObjectURL(zip(files));
  link.download = "images.zip";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
