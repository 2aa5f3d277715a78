import { ApiError } from "./client/index.js";

const OUTBOX = "page";

/**
 * Orders of the page: each is stored before it is sent, shown at once, and sent again after a reload or when the
 * connection is back. `onRefused(error, order)` gets what was not ordered.
 */
export function createOrders({ client, store, onAccepted, onRefused, onWaiting }) {
  const outbox = client.outbox(localStorage, { name: OUTBOX });

  function show({ idempotencyKey, body, createdAt }) {
    store.put({
      task_id: idempotencyKey, status: "unsent", progress: null, model: body.model, input: body.input,
      files: [], error: null, warnings: [], credits: {}, typical_seconds: null,
      created_at: new Date(createdAt).toISOString(), updated_at: "",
    });
  }

  function settle({ idempotencyKey, task, error }) {
    if (task) {
      store.accept(idempotencyKey, task);
      onAccepted(task);
    } else if (outbox.pending().some((each) => each.idempotencyKey === idempotencyKey)) {
      onWaiting(outbox.pending().length, error); // it is still stored: it is sent again
    } else if (store.get(idempotencyKey)) { // otherwise another attempt has been answered
      store.remove(idempotencyKey);
      onRefused(error);
    }
  }

  return {
    /** Sends an order; resolves when it is accepted, refused or known to wait. */
    async send({ model, input, maxCredits }) {
      const idempotencyKey = crypto.randomUUID();
      show({ idempotencyKey, body: { model, input }, createdAt: Date.now() });
      try {
        const task = await outbox.send({ model, input, maxCredits, idempotencyKey });
        settle({ idempotencyKey, task });
      } catch (error) {
        settle({ idempotencyKey, error });
      }
    },
    /** Shows and sends the orders that have no answer yet. */
    async resume() {
      for (const order of outbox.pending()) show(order);
      for (const outcome of await outbox.resume()) settle(outcome);
    },
    waiting: () => outbox.pending().length,
  };
}

/** Whether an error means that the service was not reached. */
export const isOffline = (error) => error instanceof ApiError && error.status === 0;
