import { createAuth } from "./auth.js";
import { createOutbox } from "./outbox.js";
import { createTasks, query, WAIT_MS } from "./tasks.js";
import { createTransport } from "./transport.js";
import { createStorage } from "./uploads.js";

/** A client of one deployment; see index.d.ts for its options. */
export function createClient({ baseUrl, fetch = globalThis.fetch, owner, retry, ...access }) {
  const auth = createAuth({ ...access, fetch });
  const transport = createTransport({ baseUrl, fetch, auth, owner, retry });
  const storage = createStorage(transport, fetch);
  const tasks = createTasks(transport);

  /** The order with its key and without Blobs, as it is sent however often. */
  async function prepare(model, options) {
    const { input, idempotencyKey = newKey(), metadata, maxCredits, callbackUrl } = options;
    const body = { model, input: await storage.uploaded(input, options), metadata };
    return { idempotencyKey, body: { ...body, max_credits: maxCredits, callback_url: callbackUrl } };
  }

  async function send({ idempotencyKey, body }, options) {
    const headers = { "Idempotency-Key": idempotencyKey };
    const { timeout, abortSignal, deadline, check } = options;
    const request = { body, headers, timeout, abortSignal, deadline, check, ids: { idempotencyKey }, expected: "task_id" };
    return transport.call("POST", "/v1/tasks", request);
  }

  const place = async (order, options) => (await send(order, options)).body;

  /** Orders and waits within one timeout, whose error has the ids that are known by then. */
  async function subscribe(model, { timeout = WAIT_MS, abortSignal, ...options }) {
    const ids = { idempotencyKey: options.idempotencyKey ?? newKey() };
    return transport.within({ timeout, abortSignal }, ids, async (deadline) => {
      const order = await prepare(model, { ...options, ...ids, deadline });
      const response = await send(order, { deadline });
      ids.taskId = response.body.task_id;
      options.onEnqueue?.(ids.taskId, ids.idempotencyKey);
      options.onUpdate?.(response.body);
      return tasks.follow(ids.taskId, { ...options, deadline }, response);
    });
  }

  async function submit(model, options) {
    const ids = { idempotencyKey: options.idempotencyKey ?? newKey() };
    const steps = async (limits) => {
      const order = await prepare(model, { ...options, ...ids, ...limits });
      return place(order, { ...options, ...limits });
    };
    if (options.timeout === undefined) return steps({}); // each step has a timeout of its own
    return transport.within(options, ids, (deadline) => steps({ deadline }));
  }

  return {
    tasks: tasks.public,
    storage: { upload: storage.upload },
    outbox: (store, options) => createOutbox(store, { prepare, place }, options),

    submit,
    subscribe,
    attach: (taskId, options) => tasks.follow(taskId, options),

    async quote(model, input, { maxCredits, ...options } = {}) {
      const body = { model, input: await storage.uploaded(input, options), max_credits: maxCredits };
      return (await transport.call("POST", "/v1/quotes", { ...options, body })).body;
    },

    async usage({ from, to, limit, cursor, ...options } = {}) {
      return (await transport.call("GET", `/v1/usage${query({ from, to, limit, cursor })}`, options)).body;
    },
  };
}

/** 128 random bits. `crypto.randomUUID` is missing in pages of plain http on another machine. */
function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
