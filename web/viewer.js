import { buttonsOf } from "./actions.js";
import { credits, duration, failure, isOpen, money, time } from "./format.js";

const SWIPE_PX = 60;
const SHOWN_ELSEWHERE = new Set(["prompt", "image_urls"]);
const KNOWN_BY_VALUE = new Set(["size", "aspect_ratio", "resolution", "quality"]);

/**
 * The large view: one task at a time; the address names it, so that it can be linked and reloaded. `read(id)`
 * reads a task that is not in the gallery; `onError(error)` says why it cannot be shown.
 */
export function createViewer({ dialog, store, gallery, actionsFor, read, onError }) {
  const part = (selector) => dialog.querySelector(selector);
  const [image, note, prompt, facts, buttons, others, history] = [".stage > img", ".stage-note", ".viewer-prompt", "dl", ".viewer-actions", ".viewer-files", "ol"].map(part);
  let shown, from, at = 0;

  const named = () => new URLSearchParams(location.hash.slice(1)).get("task");

  function neighbour(step) {
    const cards = gallery.cards().filter(({ task }) => task.status !== "unsent");
    const place = cards.findIndex(({ task }) => task.task_id === shown);
    return cards[place + step]?.task;
  }

  function render(task) {
    const file = task.files[at];
    image.hidden = !file;
    if (file) Object.assign(image, { src: file.file_url, alt: task.input.prompt, width: file.width, height: file.height });
    note.hidden = Boolean(file);
    note.textContent = isOpen(task) ? "This image is being made." : failure(task);
    prompt.textContent = task.input.prompt;
    facts.replaceChildren(...rows(task, file).flatMap(([name, value]) => [term("dt", name), term("dd", value)]));
    history.replaceChildren(...(task.history ?? []).map(({ at: when, event }) => term("li", `${time(when)}: ${event.replaceAll("_", " ")}`)));
    buttons.replaceChildren(...buttonsOf(actionsFor(task, at), ({ run }) => run()));
    others.hidden = task.files.length < 2;
    others.replaceChildren(...(others.hidden ? [] : task.files.map(thumbnail)));
    part(".previous").disabled = !neighbour(-1);
    part(".next").disabled = !neighbour(1);
  }

  function thumbnail({ file_url }, n) {
    const button = Object.assign(document.createElement("button"), { type: "button" });
    button.append(Object.assign(document.createElement("img"), { src: file_url, alt: `Image ${n + 1}` }));
    button.ariaPressed = String(n === at);
    button.addEventListener("click", () => {
      at = n;
      render(store.get(shown));
      others.children[n].focus();
    });
    return button;
  }

  async function show(id) {
    let task = store.get(id);
    if (!task) {
      try {
        task = await read(id);
        store.put(task);
      } catch (error) {
        onError(error);
        return close();
      }
    }
    if (named() !== id) return; // another one has been asked for since
    shown = id;
    at = 0;
    render(task);
    if (dialog.open) return;
    from = document.activeElement;
    dialog.showModal();
  }

  function close() {
    if (dialog.open) return dialog.close(); // comes back here
    const opener = gallery.cardFor(shown)?.opener ?? from;
    shown = undefined;
    if (named()) window.history.replaceState(null, "", location.pathname + location.search);
    opener?.focus();
  }

  function go(step) {
    const task = neighbour(step);
    if (task) location.replace(`#task=${task.task_id}`);
  }

  const follow = () => (named() ? show(named()) : dialog.open && close());
  addEventListener("hashchange", follow);
  dialog.addEventListener("close", close);
  dialog.addEventListener("keydown", ({ key }) => {
    if (key === "ArrowLeft") go(-1);
    if (key === "ArrowRight") go(1);
  });
  part(".previous").addEventListener("click", () => go(-1));
  part(".next").addEventListener("click", () => go(1));
  part(".close").addEventListener("click", close);
  let start;
  const stage = part(".stage");
  stage.addEventListener("pointerdown", ({ clientX }) => (start = clientX));
  stage.addEventListener("pointerup", ({ clientX, pointerType }) => {
    if (pointerType === "touch" && Math.abs(clientX - start) > SWIPE_PX) go(clientX < start ? 1 : -1);
  });
  store.onChange((id, task) => {
    if (id !== shown) return;
    if (task) render(task);
    else close();
  });

  return { open: (task) => (location.hash = `task=${task.task_id}`), follow, close: () => dialog.open && close() };
}

const term = (tag, text) => Object.assign(document.createElement(tag), { textContent: text });

/** What was asked for, what was made, what it cost. */
function rows(task, file) {
  const { input, credits: cost, usd } = task;
  const asked = Object.entries(input)
    .filter(([name, value]) => !SHOWN_ELSEWHERE.has(name) && value !== null)
    .map(([name, value]) => (KNOWN_BY_VALUE.has(name) ? value : `${name.replaceAll("_", " ")} ${typeof value === "object" ? JSON.stringify(value) : value}`));
  const charged = cost.charged ?? null;
  const took = task.finished_at ? duration((Date.parse(task.finished_at) - Date.parse(task.created_at)) / 1000) : "";
  return [
    ["Model", task.model],
    ["Requested", asked.join(", ")],
    ["Actual", file ? `${file.width} × ${file.height}, ${file.content_type.slice(6).toUpperCase()}` : ""],
    charged === null ? ["Estimated", cost.estimated === undefined ? "" : credits(cost.estimated)] : ["Charged", `${credits(charged)} (${money(usd?.charged ?? charged * 0.005)})`],
    ["References", input.image_urls?.length ? String(input.image_urls.length) : ""],
    ["Made", time(task.created_at)],
    ["Took", took],
    ["Warnings", (task.warnings ?? []).map(({ detail }) => detail).join(" ")],
  ].filter(([, value]) => value);
}
