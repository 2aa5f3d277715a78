import { actionsOf, referenceOf, saveZip } from "./actions.js";
import { createComposer } from "./composer.js";
import { createConnection } from "./connection.js";
import { createAccessDialog, createQuestion } from "./dialogs.js";
import { createFollower } from "./follow.js";
import { number, refusal } from "./format.js";
import { createGallery } from "./gallery.js";
import { createMenu } from "./menu.js";
import { createOrders } from "./orders.js";
import { createSelection } from "./selection.js";
import { base, createSession } from "./session.js";
import { createStorage } from "./storage.js";
import { createStore } from "./store.js";
import { createTheme } from "./theme.js";
import { createViewer } from "./viewer.js";

const UNSAVED = "This browser stores nothing more for this page. Keep it open until your orders are answered.";
const GONE = "The image of this link does not exist any more.";
const LOW = 0.1; // of the budget
const one = (selector) => document.querySelector(selector);
const announce = (text) => (one("[data-announce]").textContent = text);
const ask = createQuestion(one("dialog.ask"));

const saved = createStorage(() => localStorage, () => composer.say(UNSAVED));
const drafts = createStorage(() => sessionStorage);
const connection = createConnection({ line: one(".connection"), waiting: () => orders.waiting(), onRetry: resume });
const { client, owner } = createSession({ askAccess: createAccessDialog(one("dialog.access")), fetch: connection.fetch });
const store = createStore();
const menu = createMenu(one(".menu"));

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
  client, store, storage: saved,
  onAccepted: () => {
    follower.wake();
    connection.show();
    composer.refreshPrice();
  },
  onRefused: (error, order) => {
    connection.show();
    composer.refuse(error, order);
  },
  onWaiting: (error) => connection.explain(error.status ? refusal(error) : ""),
  onElsewhere: async () => {
    for (const task of (await client.tasks.list()).tasks) store.put(task);
    follower.wake();
    connection.show();
  },
});
const gallery = createGallery({ client, store, list: one(".gallery"), end: one(".more"), empty: one(".empty"), nothing: one(".nothing") });
const composer = createComposer({
  client, form: one(".composer"), settings: saved, drafts, previewOf,
  onOrder: order, onBudget: showBudget,
});
const viewer = createViewer({ dialog: one("dialog.viewer"), store, gallery, actionsFor, read: (id) => client.tasks.get(id), onError: (error) => composer.say(error.status === 404 ? GONE : refusal(error)) });
const selection = createSelection({ bar: one(".selection"), filters: one(".filters"), button: one("[data-action=select]"), gallery, store });

function order(wanted) {
  orders.send(wanted);
  connection.show();
}

/** An address that the page may show for one that an order takes; uploads cannot be shown any more. */
function previewOf(address) {
  const [, id] = /^task:(\w+)\//.exec(address) ?? [];
  const file = store.get(id)?.files.find((each) => referenceOf(each) === address);
  return file?.file_url ?? "page/icon.svg";
}

function actionsFor(task, n = 0) {
  return actionsOf(task, n, {
    base,
    copy: async (text, done) => {
      const copied = await navigator.clipboard?.writeText(text).then(() => true, () => false);
      composer.hint(copied ? done : "The browser does not let this page copy.");
    },
    again,
    reuse: (chosen) => {
      viewer.close();
      composer.fill(chosen);
      composer.focus();
    },
    useAsReference: (address) => {
      viewer.close();
      composer.references.add(address);
      composer.focus();
    },
    remove,
  });
}

/** The same order, for at most what the earlier one could cost. */
function again({ model, input, credits }) {
  viewer.close();
  order({ model, input, maxCredits: credits.estimated });
}

async function remove(ids) {
  const unsent = ids.some((id) => store.get(id).status === "unsent");
  const what = ids.length === 1 ? "this image" : `${ids.length} images`;
  const consequence = unsent
    ? "An order that waits is not sent any more. If it has been sent already, it is made and charged."
    : "Prompt and image are removed. What was charged stays charged.";
  if (!(await ask(`Delete ${what}?`, consequence, "Delete"))) return;
  for (const id of ids) {
    try {
      if (store.get(id)?.status === "unsent") orders.forget(id);
      else await client.tasks.delete(id);
      store.remove(id);
    } catch (error) {
      composer.say(refusal(error));
    }
  }
  connection.show();
}

function showBudget(budget, price) {
  const place = one(".budget"), meter = one(".budget meter");
  place.hidden = !budget;
  if (!budget) return;
  meter.max = Math.max(meter.max === 1 ? 0 : meter.max, budget.left) || 1; // the most that this page has seen
  meter.value = budget.left;
  place.classList.toggle("low", budget.left < Math.max(price, meter.max * LOW));
  one("[data-budget]").textContent = `${number(budget.left)} of ${number(meter.max)} credits left`;
}

const commands = {
  select: () => selection.set(!selection.active),
  deselect: () => selection.set(false),
  "delete-selected": () => remove(selection.ids()),
  zip: async () => {
    try {
      await saveZip(selection.ids().map((id) => store.get(id)));
    } catch {
      composer.say("The images cannot be read from this page: list its address in CorsOrigins. Save them one by one instead.");
    }
  },
  theme: createTheme(saved),
  keys: () => one("dialog.keys").showModal(),
};

document.addEventListener("click", ({ target }) => {
  const button = target.closest("button");
  if (!button) return;
  commands[button.dataset.action]?.();
  if ("example" in button.dataset) {
    composer.write(button.textContent);
    composer.focus();
  }
  if ("filter" in button.dataset) {
    gallery.filter = button.dataset.filter;
    for (const each of document.querySelectorAll("[data-filter]")) each.setAttribute("aria-pressed", each === button);
  }
});

document.addEventListener("card", ({ detail: { action, task, card } }) => {
  if (action === "actions") return menu.open(card.anchor, actionsFor(task));
  if (action === "check" || selection.active) return selection.toggle(card);
  if (action === "again") return task.error.retry === "new_key" ? again(task) : composer.fill(task);
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

document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && follower.wake());

let catalog;

/** Begins, or goes on after the connection was lost; done again until it has succeeded. */
async function resume() {
  if (!catalog) await start();
  gallery.reloadImages();
  composer.refreshPrice();
  await Promise.all([orders.resume(), gallery.readMore()]);
  follower.wake();
}

async function start() {
  const response = await connection.fetch(`${base}/v1/catalog/models?limit=100`);
  const found = (await response.json()).data.items;
  gallery.readMore()?.catch(() => {}); // asks for the token; `resume` waits for the same reading
  orders.open(await owner());
  catalog = found;
  composer.start(catalog);
}

selection.set(false);
connection.retry().then(viewer.follow);
