import "./card.js";
import { isOpen, ratioOf } from "./format.js";

const PAGE = 50;

/** The cards of all tasks, newest first; older ones are read as the user comes to the end. */
export function createGallery({ client, store, list, end, empty, nothing, onError }) {
  const cards = new Map();
  let filter = "", cursor, complete = false, reading = false;

  const shown = (task) => !filter || (filter === "open" ? isOpen(task) : task.status === filter);

  function cardOf(task) {
    const item = document.createElement("li");
    const card = document.createElement("task-card");
    card.task = task;
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
      const current = item ?? list.insertBefore(cardOf(task), place(task));
      if (id !== task.task_id) cards.delete(id);
      cards.set(task.task_id, current);
      current.hidden = !shown(task);
      current.style.setProperty("--ratio", ratioOf(task));
    }
    showEmptiness();
  });

  function showEmptiness() {
    const visible = [...list.children].some((item) => !item.hidden);
    empty.hidden = cards.size > 0 || !complete;
    nothing.hidden = visible || cards.size === 0;
  }

  async function readMore() {
    if (reading || complete) return;
    reading = true;
    try {
      const page = await client.tasks.list({ limit: PAGE, cursor });
      for (const task of page.tasks) store.put(task);
      cursor = page.next_cursor;
      complete = !cursor;
    } catch (error) {
      onError(error);
    } finally {
      reading = false;
    }
    showEmptiness();
    if (!complete && end.getBoundingClientRect().top < innerHeight + 400) readMore();
  }

  new IntersectionObserver((seen) => seen.some((each) => each.isIntersecting) && cursor && readMore(), { rootMargin: "400px" }).observe(end);
  setInterval(() => cards.forEach((item) => item.firstChild.tick()), 1000);

  return {
    readMore,
    cards: () => [...list.children].filter((item) => !item.hidden).map((item) => item.firstChild),
    cardFor: (id) => cards.get(id)?.firstChild,
    set filter(value) {
      filter = value;
      for (const item of cards.values()) item.hidden = !shown(item.firstChild.task);
      showEmptiness();
    },
  };
}
