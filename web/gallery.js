import "./card.js";
import { isOpen, ratioOf } from "./format.js";
import { rowsOf } from "./rows.js";

const PAGE = 50;
const NOTHING = { open: "No image is being made.", finished: "No finished images.", failed: "No failed images." };
const DESKTOP = { height: 220, most: Infinity, last: 220 }, PHONE = { height: 140, most: 2, last: 180 };
const phone = matchMedia("(max-width: 640px)");

/** The cards of all tasks, newest first; older ones are read as the user comes to the end. */
export function createGallery({ client, store, list, end, empty, nothing }) {
  const cards = new Map();
  let filter = "", cursor, complete = false, reading, planned = false;

  const shown = (task) => !filter || (filter === "open" ? isOpen(task) : task.status === filter);

  /** A card keeps the shape that it has first, so that nothing moves when the picture arrives. */
  function itemOf(task) {
    const item = document.createElement("li");
    const card = document.createElement("task-card");
    card.task = task;
    card.ratio = ratioOf(task);
    item.append(card);
    return item;
  }

  /** The first item whose task is older; `null` for none. */
  function place(task) {
    for (const item of list.children) if (item.firstChild.task.created_at < task.created_at) return item;
    return null;
  }

  store.onChange((id, task) => {
    const item = cards.get(id) ?? cards.get(task?.task_id); // an order may be answered twice, by one task
    if (!task) {
      cards.delete(id);
      const next = item?.nextElementSibling ?? item?.previousElementSibling;
      if (item?.contains(document.activeElement)) next?.firstChild.opener.focus();
      item?.remove();
    } else {
      if (item) item.firstChild.task = task;
      const current = item ?? list.insertBefore(itemOf(task), place(task));
      if (id !== task.task_id) cards.delete(id);
      cards.set(task.task_id, current);
    }
    plan();
  });

  /** Arranges once, however many tasks have changed. */
  function plan() {
    if (planned) return;
    planned = true;
    queueMicrotask(arrange);
  }

  function arrange() {
    planned = false;
    for (const item of list.children) item.hidden = !shown(item.firstChild.task);
    const visible = visibleCards();
    const shape = phone.matches ? PHONE : DESKTOP;
    const sizes = rowsOf(visible.map(({ ratio }) => ratio), { width: list.clientWidth, ...shape });
    for (const [n, { width, height }] of sizes.entries()) {
      const { style } = visible[n].parentElement;
      style.width = `${width}px`;
      style.height = `${height}px`;
    }
    empty.hidden = cards.size > 0 || !complete;
    nothing.hidden = visible.length > 0 || cards.size === 0 || !complete;
    nothing.textContent = NOTHING[filter] ?? "";
  }

  const visibleCards = () => [...list.children].filter((item) => !item.hidden).map((item) => item.firstChild);

  async function readPages() {
    do {
      const page = await client.tasks.list({ limit: PAGE, cursor });
      for (const task of page.tasks) store.put(task);
      cursor = page.next_cursor;
      complete = !cursor;
      arrange();
    } while (!complete && end.getBoundingClientRect().top < innerHeight + 400);
  }

  /** Reads older tasks until the end is out of sight; the connection tells its errors. */
  function readMore() {
    if (complete) return;
    reading ??= readPages().finally(() => (reading = undefined));
    return reading;
  }

  new IntersectionObserver((seen) => seen.some((each) => each.isIntersecting) && cursor && readMore().catch(() => {}), { rootMargin: "400px" }).observe(end);
  new ResizeObserver(plan).observe(list);
  setInterval(() => cards.forEach((item) => item.firstChild.tick()), 1000);

  return {
    readMore,
    cards: visibleCards,
    cardFor: (id) => cards.get(id)?.firstChild,
    reloadImages: () => cards.forEach((item) => item.firstChild.reload()),
    set filter(value) {
      filter = value;
      arrange();
    },
  };
}
