import { duration, failure, isOpen } from "./format.js";

/** A task in the gallery: its shape from the first moment, then its progress, then its image. */
class TaskCard extends HTMLElement {
  #task;
  #part = {};

  connectedCallback() {
    if (this.firstChild) return;
    this.append(document.getElementById("card").content.cloneNode(true));
    for (const name of ["open", "actions", "check", "state", "reason", "clock"]) this.#part[name] = this.querySelector(`.${name}`);
    this.#part.image = this.querySelector("img");
    this.#part.progress = this.querySelector("progress");
    this.#part.open.addEventListener("click", () => this.#say("open"));
    this.#part.actions.addEventListener("click", () => this.#say("actions"));
    this.#part.check.firstElementChild.addEventListener("change", () => this.#say("check"));
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
    const { status, created_at, typical_seconds } = this.#task;
    const elapsed = duration((Date.now() - Date.parse(created_at)) / 1000);
    const usual = typical_seconds ? `, usually ~${duration(typical_seconds)}` : "";
    this.#part.clock.textContent = status === "unsent" ? "" : `${elapsed}${usual}`;
  }

  #say(action) {
    this.dispatchEvent(new CustomEvent("card", { bubbles: true, detail: { action, task: this.#task, card: this } }));
  }

  #render() {
    const task = this.#task, { open, image, progress, reason, actions, check } = this.#part;
    this.dataset.status = isOpen(task) ? "open" : task.status;
    const prompt = task.input.prompt ?? "";
    const [file] = task.files;
    if (file && image.getAttribute("src") !== file.file_url) image.src = file.file_url;
    image.alt = file ? prompt : "";
    image.hidden = !file;
    const word = { unsent: "waits to be sent", not_started: "waits for its turn", running: "is being made" }[task.status];
    reason.textContent = task.status === "failed" ? failure(task) : word ?? "";
    progress.hidden = !isOpen(task);
    if (task.progress === null) progress.removeAttribute("value");
    else progress.value = task.progress;
    progress.setAttribute("aria-label", `Progress of: ${prompt.slice(0, 80)}`);
    open.setAttribute("aria-label", `${labels[this.dataset.status]}: ${prompt.slice(0, 120)}`);
    actions.setAttribute("aria-label", `Actions for: ${prompt.slice(0, 80)}`);
    check.firstElementChild.setAttribute("aria-label", `Select: ${prompt.slice(0, 80)}`);
    if (isOpen(task)) this.tick();
    else this.#part.clock.textContent = "";
  }
}

const labels = { open: "In progress", finished: "Open", failed: "Failed, open" };

customElements.define("task-card", TaskCard);
