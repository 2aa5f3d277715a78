import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ApiError, TimeoutError, ValidationError } from "../src/index.js";
import { clientOf, cut, drop, html, json, KEY, problem, silence, TASK, taskResponse, TIMEOUT, until, useApi, useFastTimers } from "./support.js";

const api = useApi();
const waits = useFastTimers();
const READ = `GET /v1/tasks/${TASK}`;
const throttled = json(429, { message: "Too Many Requests" }, { "Retry-After": "7" });

describe("a request", () => {
  test("carries the key and the owner", async () => {
    api.on(READ, taskResponse("finished"));

    const task = await clientOf(api, { owner: "ada" }).tasks.get(TASK);

    assert.equal(task.status, "finished");
    const { headers } = api.requests[0];
    assert.deepEqual([headers.authorization, headers["x-owner"]], [`Bearer ${KEY}`, "ada"]);
  });

  test("is repeated after a lost connection, a cut body, a gateway's page and its throttle", async () => {
    api.on(READ, throttled, drop, cut, html(503), html(502), html(200), taskResponse("running"));

    const task = await clientOf(api).tasks.get(TASK);

    assert.equal(task.task_id, TASK);
    assert.equal(api.requests.length, 7);
    assert.ok(waits.some((ms) => ms >= 7000 && ms <= 8750), `waits for Retry-After: ${waits}`);
    assert.ok(waits.filter((ms) => ms >= 500).length >= 6, `pauses each time: ${waits}`);
  });

  test("waits until the date that Retry-After names", async () => {
    const date = new Date(Date.now() + 10_000).toUTCString();
    api.on(READ, json(503, {}, { "Retry-After": date }), taskResponse("running"));

    await clientOf(api).tasks.get(TASK);

    assert.ok(waits.some((ms) => ms > 8000 && ms < 12_500), `${waits}`);
  });

  for (const [status, code, retry] of [
    [404, "no_such_task", "never"],
    [403, "insufficient_scope", "never"],
    [401, "unauthorized", "never"],
    [503, "unavailable", "new_key"],
  ]) {
    test(`is not repeated on ${code}`, async () => {
      api.on(READ, problem(status, code, { retry, charged: null }));

      const error = await clientOf(api).tasks.get(TASK).catch((each) => each);

      assert.ok(error instanceof ApiError);
      assert.deepEqual([error.status, error.code, error.retry, error.charged], [status, code, retry, null]);
      assert.deepEqual([error.requestId, error.taskId, error.message], ["r-1", TASK, `It is ${code}.`]);
      assert.equal(api.requests.length, 1);
    });
  }

  for (const status of [400, 403, 404, 413]) {
    test(`is not repeated on a gateway's ${status}`, async () => {
      api.on(READ, html(status));

      await assert.rejects(clientOf(api).tasks.get(TASK), { name: "ApiError", code: `http_${status}`, retry: "never", charged: null });
      assert.equal(api.requests.length, 1);
    });
  }

  test("with wrong fields names each of them", async () => {
    const errors = [
      { pointer: "/input/size", detail: "unknown" },
      { pointer: "/input/size", detail: "too long" },
      { parameter: "limit", detail: "too large" },
    ];
    api.on("POST /v1/quotes", problem(422, "invalid_order", { errors }));

    const error = await clientOf(api).quote("gpt-image-2", { prompt: "x" }).catch((each) => each);

    assert.ok(error instanceof ValidationError && error instanceof ApiError);
    assert.deepEqual(error.fieldErrors, { "/input/size": ["unknown", "too long"], limit: ["too large"] });
    assert.deepEqual(error.errors, errors);
  });

  test("is not repeated while the operator has to act first", async () => {
    api.on("POST /v1/tasks", problem(503, "orders_paused", { retry: "same_key" }));

    const error = await clientOf(api).submit("m", { input: { prompt: "x" } }).catch((each) => each);

    assert.equal(error.code, "orders_paused");
    assert.equal(api.requests.length, 1);
  });

  test("does not wait for days, and passes on what the budget says", async () => {
    const more = { retry: "same_key", left: 3, resets_at: "2026-12-01T00:00:00Z" };
    api.on("POST /v1/tasks", problem(402, "budget_exhausted", more, { "Retry-After": "86400" }));

    const error = await clientOf(api).submit("m", { input: { prompt: "x" } }).catch((each) => each);

    assert.deepEqual([error.code, error.problem.left, error.retryAfter], ["budget_exhausted", 3, 86400]);
    assert.equal(api.requests.length, 1);
  });

  test("does not wait for a Retry-After beyond its timeout", async () => {
    api.on("POST /v1/tasks", problem(429, "too_many_orders", { retry: "same_key" }, { "Retry-After": "600" }));

    const error = await clientOf(api).submit("m", { input: { prompt: "x" } }).catch((each) => each);

    assert.deepEqual([error.code, error.retryAfter], ["too_many_orders", 600]);
    assert.match(error.idempotencyKey, /^[0-9a-f]{32}$/);
  });

  test("ends with a TimeoutError whose cause is the last error", async () => {
    api.on(READ, drop);

    const reading = clientOf(api).tasks.get(TASK, { timeout: TIMEOUT }).catch((each) => each);
    await waits.expire(TIMEOUT, () => api.requests.length === 8);
    const error = await reading;

    assert.ok(error instanceof TimeoutError);
    assert.equal(error.taskId, TASK);
    assert.deepEqual([error.cause.status, error.cause.code, error.cause.retry], [0, "network_error", "same_key"]);
    assert.ok(Math.max(...waits) <= 25_000, "the pauses stop growing");
  });

  for (const [where, response] of [["a pause", html(503)], ["a response", silence], ["a body", cut]]) {
    test(`ends at once on an abort within ${where}`, async () => {
      api.on(READ, response);
      const controller = new AbortController();
      const reading = clientOf(api).tasks.get(TASK, { abortSignal: controller.signal });
      await until(() => api.requests.length);

      controller.abort(new Error("the user left"));

      await assert.rejects(reading, /the user left/);
      assert.equal(api.requests.length, 1);
    });
  }

  test("without a response is given up and repeated", async () => {
    api.on(READ, silence, taskResponse("finished"));

    const reading = clientOf(api).tasks.get(TASK);
    await waits.expire(40_000, () => api.requests.length === 1);

    assert.equal((await reading).status, "finished");
    assert.equal(api.requests.length, 2);
  });

  test("is not sent with an aborted signal", async () => {
    await assert.rejects(clientOf(api).tasks.get(TASK, { abortSignal: AbortSignal.abort() }), { name: "AbortError" });
    assert.equal(api.requests.length, 0);
  });
});
