import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { clientOf, drop, html, json, MemoryStorage, png, problem, silence, task, TIMEOUT, until, useApi, useFastTimers } from "./support.js";

const api = useApi();
const waits = useFastTimers();
const ORDER = "POST /v1/tasks";
const order = { model: "gpt-image-2", input: { prompt: "A boat" } };
const accepted = json(202, task("running"));
const keys = () => api.sent(ORDER).map((each) => each.headers["idempotency-key"]);

describe("an outbox", () => {
  test("has the order before it is sent, and nothing once it is answered", async () => {
    const storage = new MemoryStorage();
    const outbox = clientOf(api).outbox(storage);
    let atServer;
    api.on(ORDER, (...given) => {
      atServer = outbox.pending();
      return accepted(...given);
    });

    const ordered = await outbox.send({ ...order, metadata: { a: "b" } });

    assert.equal(ordered.status, "running");
    assert.equal(atServer.length, 1);
    assert.equal(atServer[0].idempotencyKey, keys()[0]);
    assert.deepEqual(atServer[0].body, { model: "gpt-image-2", input: { prompt: "A boat" }, metadata: { a: "b" } });
    assert.equal(storage.length, 0);
  });

  test("sends the same order under the same key after a reload", async () => {
    const storage = new MemoryStorage();
    api.on(ORDER, silence);
    const closed = new AbortController();
    const sending = clientOf(api).outbox(storage).send({ ...order, abortSignal: closed.signal });
    await until(() => api.requests.length);
    closed.abort();
    await assert.rejects(sending, { name: "AbortError" });

    api.on(ORDER, drop, json(200, task("running"), { "Idempotent-Replayed": "true" }));
    const reloaded = clientOf(api).outbox(storage);
    const resumed = await reloaded.resume();

    assert.deepEqual(resumed.map((each) => [each.idempotencyKey, each.task.status]), [[keys()[0], "running"]]);
    assert.equal(keys().length, 3);
    assert.equal(new Set(keys()).size, 1);
    assert.equal(new Set(api.requests.map((each) => each.text)).size, 1);
    assert.deepEqual(reloaded.pending(), []);
    assert.deepEqual(await reloaded.resume(), []);
  });

  for (const [name, response, kept, endless] of [
    ["a lost connection", drop, true, true],
    ["a gateway's 503", html(503), true, true],
    ["paused orders", problem(503, "orders_paused", { retry: "same_key" }), true],
    ["an ended session", problem(401, "unauthorized"), true],
    ["a token without the scope", problem(403, "insufficient_scope"), true],
    ["a token for other models", problem(403, "model_not_allowed"), false],
    ["a wrong order", problem(422, "invalid_order"), false],
    ["an empty account", problem(402, "insufficient_credits", { retry: "new_key" }), false],
  ]) {
    test(`${kept ? "keeps" : "drops"} the order after ${name}`, async () => {
      const outbox = clientOf(api).outbox(new MemoryStorage());
      api.on(ORDER, response);

      const sending = assert.rejects(outbox.send({ ...order, timeout: TIMEOUT }));
      if (endless) await waits.expire(TIMEOUT, () => api.requests.length);
      await sending;

      assert.equal(outbox.pending().length, kept ? 1 : 0);
      const before = api.requests.length;
      const resuming = outbox.resume({ timeout: TIMEOUT });
      if (endless) await waits.expire(TIMEOUT, () => api.requests.length > before);
      const [resumed] = await resuming;
      assert.equal(resumed?.error instanceof Error, kept);
      assert.equal(new Set(keys()).size, 1);
    });
  }

  test("keeps the orders of two tabs and of two users apart", async () => {
    const storage = new MemoryStorage();
    api.on(ORDER, html(503));
    const [first, second] = [clientOf(api).outbox(storage), clientOf(api).outbox(storage)];
    const other = clientOf(api).outbox(storage, { name: "bob" });

    const sending = Promise.allSettled([first, second, other].map((each) => each.send({ ...order, timeout: TIMEOUT })));
    await waits.expire(TIMEOUT, () => new Set(keys()).size === 3);
    await sending;

    assert.equal(first.pending().length, 2);
    assert.equal(other.pending().length, 1);
    first.discard(first.pending()[0].idempotencyKey);
    assert.equal(second.pending().length, 1);
    assert.equal(other.pending().length, 1);
  });

  test("of a tab whose answer was lost leaves an order alone that another tab has settled", async () => {
    const storage = new MemoryStorage();
    const [first, second] = [clientOf(api).outbox(storage), clientOf(api).outbox(storage)];
    api.on(ORDER, silence, accepted);
    const sending = first.send({ ...order, timeout: TIMEOUT });
    await until(() => api.requests.length);

    const [resumed] = await second.resume();
    const lost = assert.rejects(sending, { code: "settled_elsewhere", retry: "never", charged: null });
    await waits.expire(TIMEOUT, () => true);
    await lost;

    assert.equal(resumed.task.status, "running");
    assert.equal(new Set(keys()).size, 1);
  });

  test("of a tab that is refused says nothing about an order that another tab has settled", async () => {
    const storage = new MemoryStorage();
    const outbox = clientOf(api).outbox(storage);
    const refused = problem(402, "budget_exhausted");
    api.on(ORDER, (...given) => {
      clientOf(api).outbox(storage).discard(outbox.pending()[0].idempotencyKey);
      return refused(...given);
    });

    await assert.rejects(outbox.send(order), { code: "settled_elsewhere" });
  });

  test("does not send again what another tab has discarded", async () => {
    const storage = new MemoryStorage();
    const [first, second] = [clientOf(api).outbox(storage), clientOf(api).outbox(storage)];
    api.on(ORDER, (request) => {
      second.discard(second.pending()[0].idempotencyKey);
      drop(request);
    });

    await assert.rejects(first.send(order), { code: "settled_elsewhere" });

    assert.equal(api.requests.length, 1);
  });

  test("stores nothing that was aborted before", async () => {
    const outbox = clientOf(api).outbox(new MemoryStorage());

    await assert.rejects(outbox.send({ ...order, abortSignal: AbortSignal.abort() }), { name: "AbortError" });

    assert.deepEqual(outbox.pending(), []);
    assert.equal(api.requests.length, 0);
  });

  test("sends nothing that it cannot store", async () => {
    const storage = new MemoryStorage();
    storage.setItem = () => {
      throw new RangeError("full");
    };

    await assert.rejects(clientOf(api).outbox(storage).send(order), RangeError);

    assert.equal(api.requests.length, 0);
  });

  test("stores the address of a file that was uploaded", async () => {
    const upload = { method: "POST", url: `${api.url}/bucket`, fields: {} };
    api.on("POST /v1/uploads", json(201, { file_url: "upload://1", upload, max_bytes: 1000 }));
    api.on("POST /bucket", () => ({ status: 204 })).on(ORDER, problem(401, "unauthorized"));
    const outbox = clientOf(api).outbox(new MemoryStorage());

    await assert.rejects(outbox.send({ ...order, input: { prompt: "x", image_urls: [png()] } }));

    assert.deepEqual(outbox.pending()[0].body.input.image_urls, ["upload://1"]);
  });

  test("leaves other items alone and does not fail on damaged ones", async () => {
    const storage = new MemoryStorage();
    storage.setItem("theme", "dark");
    storage.setItem("imagetasks::broken", "{");
    storage.setItem("imagetasks::empty", "null");
    const outbox = clientOf(api).outbox(storage);

    assert.deepEqual(outbox.pending(), []);
    assert.deepEqual(await outbox.resume(), []);
    assert.equal(storage.getItem("theme"), "dark");
  });
});
