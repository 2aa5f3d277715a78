import { serviceTime } from "./clock.js";

/**
 * Orders of the page: each is stored before it is sent, shown at once, and sent again after a reload or when the
 * connection is back. `onRefused(error, order)` gets what was not ordered, `onWaiting(error)` what delays an order,
 * `onElsewhere()` follows what another tab has done with one.
 */
export function createOrders({ client, store, storage, onAccepted, onRefused, onWaiting, onElsewhere }) {
  let outbox;
  let sending = 0;
  let attempts = new AbortController(); // of every order that is being sent

  function show({ idempotencyKey, body, createdAt }) {
    store.put({
      task_id: idempotencyKey, status: "unsent", progress: null, model: body.model, input: body.input,
      files: [], error: null, warnings: [], credits: {}, typical_seconds: null,
      created_at: new Date(serviceTime(createdAt)).toISOString(), updated_at: "",
    });
  }

  const pending = () => outbox?.pending() ?? [];

  function settle({ idempotencyKey, task, error }) {
    const order = store.get(idempotencyKey);
    if (task) {
      store.accept(idempotencyKey, task);
      onAccepted(task);
    } else if (pending().some((each) => each.idempotencyKey === idempotencyKey)) {
      onWaiting(error); // it is still stored: it is sent again
    } else if (order && error.code !== "settled_elsewhere") { // otherwise another attempt has been answered
      store.remove(idempotencyKey);
      onRefused(error, order);
    }
    tidy();
  }

  /** Removes the orders that another tab has got the answer of, or has deleted. */
  function tidy() {
    const kept = pending().map((order) => order.idempotencyKey);
    const gone = sending ? [] : store.all().filter(({ status, task_id }) => status === "unsent" && !kept.includes(task_id));
    for (const { task_id } of gone) store.remove(task_id);
    if (gone.length) onElsewhere();
  }

  addEventListener("storage", tidy);

  return {
    /** From now on the orders are those of `owner`: nobody else's in this browser are sent or shown. */
    open(owner) {
      outbox ??= client.outbox(storage, { name: `page:${owner}` });
    },
    /** Sends an order; resolves when it is accepted, refused or known to wait. */
    async send({ model, input, maxCredits }) {
      const idempotencyKey = crypto.getRandomValues(new BigUint64Array(2)).join("-");
      show({ idempotencyKey, body: { model, input }, createdAt: Date.now() });
      sending += 1;
      const sent = outbox.send({ model, input, maxCredits, idempotencyKey, abortSignal: attempts.signal });
      const outcome = await sent.then((task) => ({ task }), (error) => ({ error }));
      sending -= 1;
      settle({ idempotencyKey, ...outcome });
    },
    /** Shows and sends the orders that have no answer yet. */
    async resume() {
      for (const order of pending()) show(order);
      if (sending || !outbox) return;
      for (const outcome of await outbox.resume({ abortSignal: attempts.signal })) settle(outcome);
    },
    /** Forgets an order without an answer; the others are sent again a little later. */
    forget(idempotencyKey) {
      outbox.discard(idempotencyKey);
      store.remove(idempotencyKey);
      attempts.abort();
      attempts = new AbortController();
    },
    waiting: () => pending().length,
  };
}
