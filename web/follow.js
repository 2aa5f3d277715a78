/** Follows every open task with one connection, from now on; `wake` after an order or when the connection is back. */
export function createFollower({ client, store, onState }) {
  let current;

  async function run(ids, signal) {
    try {
      const options = { abortSignal: signal, timeout: Infinity, onMissing: (id) => store.remove(id) };
      for await (const task of client.tasks.watch(ids, options)) {
        const before = store.get(task.task_id)?.status;
        store.put(task);
        if (before !== task.status) onState(task);
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  return {
    /** Follow the tasks that are open now. */
    wake() {
      current?.abort();
      const ids = store.openIds();
      if (!ids.length) return;
      current = new AbortController();
      run(ids, current.signal).catch((error) => console.warn("following tasks ended:", error.code ?? error.name));
    },
  };
}
