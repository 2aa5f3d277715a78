import { actionsOf, saveZip } from "./actions.js";
import { createComposer } from "./composer.js";
import { createAccessDialog, createQuestion } from "./dialogs.js";
import { createFollower } from "./follow.js";
import { number, refusal } from "./format.js";
import { createGallery } from "./gallery.js";
import { createMenu } from "./menu.js";
import { createOrders, isOffline } from "./orders.js";
import { base, createSession } from "./session.js";
import { createStore } from "./store.js";
import { createTheme } from "./theme.js";
import { createViewer } from "./viewer.js";

const OFFLINE = "You are offline. What you order waits and will be sent by itself.";
const one = (selector) => document.querySelector(selector);
const announce = (text) => (one("[data-announce]").textContent = text);
const ask = createQuestion(one("dialog.ask"));

const { client } = createSession({ askAccess: createAccessDialog(one("dialog.access")) });
const store = createStore();
const menu = createMenu(one(".menu"));
const selection = new Set();

const follower = createFollower({
  client, store,
  onState: ({ status, input }) => {
    if (status === "finished" || status === "failed") {
      announce(`${status}: ${input.prompt}`);
      composer.refreshPrice(); // what the budget has left has changed
    }
  },
});
const orders = createOrders({
  client, store,
  onAccepted: () => {
    follower.wake();
    sayWaiting();
  },
  onRefused: (error) => {
    composer.say(refusal(error));
    composer.showErrors(error.errors ?? []);
  },
  onWaiting: (_, error) => sayWaiting(error),
});
const gallery = createGallery({
  client, store,
  list: one(".gallery"), end: one(".more"), empty: one(".empty"), nothing: one(".nothing"),
  onError: (error) => composer.say(isOffline(error) ? "The service cannot be reached; this page tries again." : refusal(error)),
});
const composer = createComposer({ client, form: one(".composer"), onOrder, onBudget: showBudget });
const viewer = createViewer({ dialog: one("dialog.viewer"), store, gallery, actionsFor, read: (id) => client.tasks.get(id) });

function onOrder(order) {
  if (!navigator.onLine) composer.say(OFFLINE);
  return orders.send(order);
}

function actionsFor(task) {
  return actionsOf(task, {
    base,
    copy: async (text, done) => {
      await navigator.clipboard.writeText(text);
      announce(done);
      composer.say(done);
    },
    again: ({ model, input }) => {
      closeViewer();
      orders.send({ model, input });
    },
    reuse: (chosen) => {
      closeViewer();
      composer.fill(chosen);
    },
    useAsReference: ({ task_id, files }) => {
      closeViewer();
      composer.references.add(`task:${task_id}/0`, files[0].file_url);
      composer.focus();
    },
    remove,
  });
}

function closeViewer() {
  const dialog = one("dialog.viewer");
  if (dialog.open) dialog.close();
}

async function remove(ids) {
  const what = ids.length === 1 ? "this image" : `${ids.length} images`;
  if (!(await ask(`Delete ${what}?`, "Prompt and image are removed. What was charged stays charged."))) return;
  for (const id of ids) {
    try {
      await client.tasks.delete(id);
      store.remove(id);
      selection.delete(id);
    } catch (error) {
      composer.say(refusal(error));
    }
  }
  showSelection();
}

function showBudget(budget) {
  const place = one(".budget"), meter = one(".budget meter");
  place.hidden = !budget;
  if (!budget) return;
  meter.max = Math.max(meter.max === 1 ? 0 : meter.max, budget.left) || 1; // the most that this page has seen
  meter.value = budget.left;
  one("[data-budget]").textContent = `${number(budget.left)} credits left`;
}

function sayWaiting(error) {
  const waiting = orders.waiting();
  if (!waiting) return composer.say("");
  const what = waiting === 1 ? "An order waits" : `${waiting} orders wait`;
  const reason = !navigator.onLine || isOffline(error ?? {}) ? "You are offline." : error ? refusal(error) : "";
  composer.say(`${reason} ${what} and will be sent by itself.`.trim());
}

function showSelection() {
  const active = document.body.classList.contains("selecting");
  one(".selection").hidden = !active;
  one(".filters").hidden = active;
  one("[data-selected]").textContent = `${selection.size} selected`;
  for (const name of ["zip", "delete-selected"]) one(`[data-action=${name}]`).disabled = !selection.size;
}

function select(active) {
  document.body.classList.toggle("selecting", active);
  for (const id of selection) gallery.cardFor(id).checked = false;
  selection.clear();
  showSelection();
}

const commands = {
  select: () => select(!document.body.classList.contains("selecting")),
  deselect: () => select(false),
  "delete-selected": () => remove([...selection]),
  zip: async () => {
    try {
      await saveZip([...selection].map((id) => store.get(id)));
    } catch {
      composer.say("The images cannot be read from this page: list its address in CorsOrigins. Save them one by one instead.");
    }
  },
  theme: createTheme(),
  keys: () => one("dialog.keys").showModal(),
};

document.addEventListener("click", ({ target }) => {
  const button = target.closest("button");
  if (!button) return;
  commands[button.dataset.action]?.();
  if ("example" in button.dataset) composer.write(button.textContent);
  if ("filter" in button.dataset) {
    gallery.filter = button.dataset.filter;
    for (const each of document.querySelectorAll("[data-filter]")) each.setAttribute("aria-pressed", each === button);
  }
});

document.addEventListener("card", ({ detail: { action, task, card } }) => {
  if (action === "actions") return menu.open(card.anchor, actionsFor(task));
  if (action === "check" || document.body.classList.contains("selecting")) {
    if (!selection.delete(task.task_id)) selection.add(task.task_id);
    card.checked = selection.has(task.task_id);
    return showSelection();
  }
  if (task.status !== "unsent") viewer.open(task);
});

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select, dialog");
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "/") {
    event.preventDefault();
    composer.focus();
  }
  if (event.key === "?") commands.keys();
});

async function reconnect() {
  sayWaiting();
  await orders.resume();
  follower.wake();
  composer.refreshPrice();
  await gallery.readMore();
}
addEventListener("online", reconnect);
addEventListener("offline", () => composer.say(OFFLINE));
document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && follower.wake());

async function start() {
  showSelection();
  const catalog = await (await fetch(`${base}/v1/catalog/models?limit=100`)).json();
  composer.start(catalog.data.items);
  await Promise.all([orders.resume(), gallery.readMore()]);
  follower.wake();
  viewer.follow();
}

start().catch((error) => composer.say(`The page could not start: ${error.message}. Reload it to try again.`));
