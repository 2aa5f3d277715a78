import { serviceTime } from "./clock.js";
import { duration, failure, isOpen } from "./format.js";

const LABELS = { open: "In progress", finished: "Open", failed: "Failed, open" };
const STATES = { not_started: "Waits for its turn", running: "Being made" };

/** A task in the gallery: its shape from the first moment, then its progress, then its image. */
class TaskCard extends HTMLElement {
  #task;
  #part = {};

  connectedCallback() {
    if (this.firstChild) return;
    this.append(document.getElementById("card").content.cloneNode(true));
    for (const name of ["open", "actions", "check", "prompt", "reason", "clock", "again", "count"]) this.#part[name] = this.querySelector(`.${name}`);
    this.#part.image = this.querySelector("img");
    this.#part.progress = this.querySelector("progress");
    for (const action of ["open", "actions", "again"]) this.#part[action].addEventListener("click", () => this.#say(action));
    this.#part.check.firstElementChild.addEventListener("change", () => this.#say("check"));
    this.#part.image.addEventListener("load", () => delete this.dataset.broken);
    this.#part.image.addEventListener("error", () => {
      this.dataset.broken = "";
      this.#part.reason.textContent = "The image could not be loaded.";
    });
    if (this.#task) this.#render();
  }

  set task(task) {
    this.#task = task;
    if (this.#part.open) this.#render();
  }

  get task() {
    return this.#task;
  }

  get anchor() {
    return this.#part.actions;
  }

  get opener() {
    return this.#part.open;
  }

  set checked(checked) {
    this.#part.check.firstElementChild.checked = checked;
  }

  /** Called each second while the task is open. */
  tick() {
    if (!isOpen(this.#task)) return;
    const { status, created_at, typical_seconds, progress } = this.#task;
    const done = progress === null ? "" : `${Math.round(progress)} % · `;
    const elapsed = duration((serviceTime() - Date.parse(created_at)) / 1000);
    const usual = typical_seconds ? `, usually ~${duration(typical_seconds)}` : "";
    const { clock, reason } = this.#part;
    clock.textContent = status === "unsent" ? "" : `${done}${elapsed}${usual}`;
    reason.textContent = STATES[status] ?? (navigator.onLine ? "Being sent" : "Waits to be sent");
  }

  /** Loads an image again that could not be loaded. */
  reload() {
    if ("broken" in this.dataset) this.#part.image.src = this.#task.files[0].file_url;
  }

  #say(action) {
    this.dispatchEvent(new CustomEvent("card", { bubbles: true, detail: { action, task: this.#task, card: this } }));
  }

  #render() {
    const task = this.#task, { image, progress, reason, again, count } = this.#part;
    this.dataset.status = isOpen(task) ? "open" : task.status;
    const prompt = task.input.prompt ?? "";
    const [file] = task.files;
    if (file && image.getAttribute("src") !== file.file_url) image.src = file.file_url;
    image.alt = file ? prompt : "";
    image.hidden = !file;
    count.textContent = task.files.length > 1 ? task.files.length : "";
    this.#part.prompt.textContent = prompt;
    if (!("broken" in this.dataset)) reason.textContent = failure(task);
    again.hidden = task.status !== "failed";
    again.textContent = task.error?.retry === "new_key" ? "Again" : "Reuse settings";
    progress.hidden = !isOpen(task);
    if (task.progress === null) progress.removeAttribute("value");
    else progress.value = task.progress;
    this.#label(prompt);
    if (isOpen(task)) this.tick();
    else this.#part.clock.textContent = "";
  }

  #label(prompt) {
    const { open, actions, check, progress, again } = this.#part;
    const short = prompt.slice(0, 80);
    open.setAttribute("aria-label", `${LABELS[this.dataset.status]}: ${prompt.slice(0, 120)}`);
    actions.setAttribute("aria-label", `Actions for: ${short}`);
    check.firstElementChild.setAttribute("aria-label", `Select: ${short}`);
    progress.setAttribute("aria-label", `Progress of: ${short}`);
    again.setAttribute("aria-label", `${again.textContent}: ${short}`);
  }
}

customElements.define("task-card", TaskCard);
