import { asCurl, asJavaScript, asPython } from "./snippets.js";
import { zip } from "./zip.js";

const SUFFIXES = { "image/png": ".png", "image/jpeg": ".jpg", "image/webp": ".webp" };

/** What can be done with a task and its `n`-th image: `[{ name, run, danger? }]`, in the order of the menu. */
export function actionsOf(task, n, { base, copy, again, reuse, useAsReference, remove }) {
  const order = { model: task.model, input: task.input };
  const file = task.files[n];
  return [
    { name: "Again", run: () => again(task) },
    { name: "Reuse settings", run: () => reuse(order) },
    file && { name: "Use as reference", run: () => useAsReference(referenceOf(file)) },
    file && { name: "Save", run: () => save(task) },
    { name: "Copy prompt", run: () => copy(task.input.prompt, "Prompt copied.") },
    file && { name: "Copy link", run: () => copy(file.file_url, "Link copied.") },
    { name: "Copy as cURL", run: () => copy(asCurl(base, order), "Copied as cURL.") },
    { name: "Copy as JavaScript", run: () => copy(asJavaScript(base, order), "Copied as JavaScript.") },
    { name: "Copy as Python", run: () => copy(asPython(base, order), "Copied as Python.") },
    { name: "Delete", run: () => remove([task.task_id]), danger: true },
  ].filter(Boolean);
}

/** The name of a file in an order: its address has its number. */
export const referenceOf = ({ file_url }) => file_url.replace(/.*\/files\/(\w+\/\d+)\/.*/, "task:$1");

/** Buttons for actions; `run(action)` is called with the clicked one. */
export function buttonsOf(actions, run) {
  return actions.map((action) => {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", textContent: action.name, className: action.danger ? "danger" : "" });
    button.addEventListener("click", () => run(action));
    return button;
  });
}

/** Saves each image of a task under its name. */
function save({ files }) {
  for (const { file_url } of files) download(`${file_url}?download=1`, "");
}

/** Saves the images of several tasks as one archive. Throws TypeError if the bucket cannot be read. */
export async function saveZip(tasks) {
  const wanted = tasks.flatMap(({ task_id, files }) => files.map((file, n) => ({ ...file, name: `${task_id}-${n}${SUFFIXES[file.content_type] ?? ""}` })));
  const files = [];
  for (const { name, file_url } of wanted) {
    // The copy in the cache came for an <img>, without the headers that let this page read it.
    const response = await fetch(file_url, { cache: "no-store" });
    if (!response.ok) throw new TypeError(`HTTP ${response.status}`);
    files.push({ name, bytes: new Uint8Array(await response.arrayBuffer()) });
  }
  const url = URL.createObjectURL(zip(files));
  download(url, "images.zip");
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

function download(href, name) {
  Object.assign(document.createElement("a"), { href, download: name }).click();
}
