import { credits, duration, failure, isOpen, money, time } from "./format.js";

const SWIPE_PX = 60;

/** The large view: one task at a time; the address names it, so that it can be linked and reloaded. */
export function createViewer({ dialog, store, gallery, actionsFor, read }) {
  const part = (selector) => dialog.querySelector(selector);
  const [image, note, prompt, facts, buttons, history] = ["img", ".stage-note", ".viewer-prompt", "dl", ".viewer-actions", "ol"].map(part);
  let shown, from;

  const named = () => new URLSearchParams(location.hash.slice(1)).get("task");

  function neighbour(step) {
    const cards = gallery.cards().filter(({ task }) => task.status !== "unsent");
    const at = cards.findIndex(({ task }) => task.task_id === shown);
    return cards[at + step]?.task;
  }

  function render(task) {
    const [file] = task.files;
    image.hidden = !file;
    if (file) Object.assign(image, { src: file.file_url, alt: task.input.prompt, width: file.width, height: file.height });
    note.hidden = Boolean(file);
    note.textContent = isOpen(task) ? "This image is being made." : failure(task);
    prompt.textContent = task.input.prompt;
    facts.replaceChildren(...rows(task).flatMap(([name, value]) => [term("dt", name), term("dd", value)]));
    history.replaceChildren(...(task.history ?? []).map(({ at, event }) => term("li", `${time(at)}: ${event.replaceAll("_", " ")}`)));
    buttons.replaceChildren(
      ...actionsFor(task).map(({ name, run, danger }) => {
        const button = Object.assign(term("button", name), { type: "button", className: danger ? "danger" : "" });
        button.addEventListener("click", run);
        return button;
      }),
    );
    part(".previous").disabled = !neighbour(-1);
    part(".next").disabled = !neighbour(1);
  }

  async function show(id) {
    let task = store.get(id);
    if (!task) {
      try {
        task = await read(id);
        store.put(task);
      } catch {
        return close();
      }
    }
    shown = id;
    render(task);
    if (!dialog.open) {
      from = document.activeElement;
      dialog.showModal();
    }
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
  dialog.addEventListener("pointerdown", ({ clientX }) => (start = clientX));
  dialog.addEventListener("pointerup", ({ clientX, pointerType }) => {
    if (pointerType === "touch" && Math.abs(clientX - start) > SWIPE_PX) go(clientX < start ? 1 : -1);
  });
  store.onChange((id, task) => {
    if (id !== shown) return;
    if (task) render(task);
    else close();
  });

  return { open: (task) => (location.hash = `task=${task.task_id}`), follow };
}

const term = (tag, text) => Object.assign(document.createElement(tag), { textContent: text });

/** What was asked for, what was made, what it cost. */
function rows(task) {
  const { input, files, credits: cost, usd } = task;
  const [file] = files;
  const asked = [input.size ?? input.aspect_ratio, input.resolution, input.quality].filter(Boolean).join(", ");
  const charged = cost.charged ?? null;
  const took = task.finished_at ? duration((Date.parse(task.finished_at) - Date.parse(task.created_at)) / 1000) : "";
  return [
    ["Model", task.model],
    ["Requested", asked],
    ["Actual", file ? `${file.width} × ${file.height}, ${file.content_type.slice(6).toUpperCase()}` : ""],
    charged === null ? ["Estimated", cost.estimated === undefined ? "" : credits(cost.estimated)] : ["Charged", `${credits(charged)} (${money(usd?.charged ?? charged * 0.005)})`],
    ["References", input.image_urls?.length ? String(input.image_urls.length) : ""],
    ["Made", time(task.created_at)],
    ["Took", took],
    ["Warnings", (task.warnings ?? []).map(({ detail }) => detail).join(" ")],
  ].filter(([, value]) => value);
}
