import { ApiError } from "./errors.js";
import { parsed } from "./transport.js";

/**
 * Orders whose response has not come yet, each in an item of its own of `storage` (localStorage or the like), so
 * that two tabs do not overwrite each other's. An order is stored before it is sent, and removed once it is
 * answered: by a task, or by an error that the same request would get again.
 */
export function createOutbox(storage, { prepare, place }, { name = "" } = {}) {
  const prefix = `imagetasks:${name}:`;

  function stored() {
    const keys = Array.from({ length: storage.length }, (_, n) => storage.key(n));
    const orders = keys.filter((key) => key?.startsWith(prefix)).map((key) => parsed(storage.getItem(key)));
    return orders.filter((order) => order?.idempotencyKey && order.body).sort((a, b) => a.createdAt - b.createdAt);
  }

  const discard = (idempotencyKey) => storage.removeItem(prefix + idempotencyKey);

  async function deliver(order, options) {
    const { idempotencyKey } = order;
    const check = () => {
      if (storage.getItem(prefix + idempotencyKey) != null) return;
      const detail = "Another tab has got the answer, or has discarded the order.";
      throw new ApiError({ status: 0, code: "settled_elsewhere", retry: "never", detail });
    };
    try {
      const task = await place(order, { ...options, check });
      discard(idempotencyKey);
      return task;
    } catch (error) {
      check(); // not an error where another tab has got the answer
      if (isFinal(error)) discard(idempotencyKey);
      throw error;
    }
  }

  return {
    discard,
    pending: stored,
    async send({ model, ...options }) {
      const order = { ...(await prepare(model, options)), createdAt: Date.now() };
      options.abortSignal?.throwIfAborted(); // what is stored would be sent by `resume`
      storage.setItem(prefix + order.idempotencyKey, JSON.stringify(order));
      return deliver(order, options);
    },
    async resume(options = {}) {
      const attempts = stored().map(async ({ idempotencyKey, ...order }) => {
        try {
          return { idempotencyKey, task: await deliver({ idempotencyKey, ...order }, options) };
        } catch (error) {
          return { idempotencyKey, error };
        }
      });
      return Promise.all(attempts);
    },
  };
}

/** Whether the order is answered for good. Who has to log in again, or whose token may not order, has not lost it. */
function isFinal(error) {
  if (!(error instanceof ApiError) || error.retry === "same_key" || error.status === 401) return false;
  return error.status !== 403 || error.code === "model_not_allowed"; // any other 403 comes before the key is looked up
}
