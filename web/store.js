import { isOpen } from "./format.js";

/**
 * The tasks of the page, newest first, and who wants to know of changes. An order that has no task yet is kept
 * under its idempotency key with the status `unsent`.
 */
export function createStore() {
  const tasks = new Map();
  const listeners = new Set();
  const order = (one, other) => (one.created_at < other.created_at ? 1 : -1);

  function tell(id, task) {
    for (const listener of listeners) listener(id, task);
  }

  return {
    get: (id) => tasks.get(id),
    all: () => [...tasks.values()].sort(order),
    openIds: () => [...tasks.values()].filter((task) => isOpen(task) && task.status !== "unsent").map((task) => task.task_id),
    onChange: (listener) => listeners.add(listener),

    put(task) {
      const known = tasks.get(task.task_id);
      if (known && known.updated_at > task.updated_at) return;
      tasks.set(task.task_id, task);
      tell(task.task_id, task);
    },
    /** The order under `key` has become a task. */
    accept(key, task) {
      tasks.delete(key);
      tasks.set(task.task_id, task);
      tell(key, task);
    },
    remove(id) {
      if (tasks.delete(id)) tell(id, undefined);
    },
  };
}
