import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ApiError, TaskFailedError, TimeoutError } from "../src/index.js";
import { clientOf, cut, drop, html, json, problem, silence, TASK, task, taskResponse, TIMEOUT, until, useApi, useFastTimers } from "./support.js";

const api = useApi();
const waits = useFastTimers();
const ORDER = "POST /v1/tasks";
const READ = `GET /v1/tasks/${TASK}`;
const accepted = json(202, task("not_started"), { "Retry-After": "5" });
const options = { input: { prompt: "A boat" } };
const keys = () => api.sent(ORDER).map((each) => each.headers["idempotency-key"]);

describe("an order", () => {
  test("is repeated under one key with one body until its response arrives", async () => {
    api.on(ORDER, drop, html(503), cut, json(200, task("running"), { "Idempotent-Replayed": "true" }));
    const order = { ...options, metadata: { a: "b" }, maxCredits: 5, callbackUrl: "https://x.example/" };

    const ordered = await clientOf(api).submit("gpt-image-2", order);

    assert.equal(ordered.task_id, TASK);
    assert.equal(keys().length, 4);
    assert.equal(new Set(keys()).size, 1);
    assert.match(keys()[0], /^[0-9a-f]{32}$/);
    assert.equal(new Set(api.requests.map((each) => each.text)).size, 1);
    assert.deepEqual(api.requests[0].json(), {
      model: "gpt-image-2",
      input: { prompt: "A boat" },
      metadata: { a: "b" },
      max_credits: 5,
      callback_url: "https://x.example/",
    });
  });

  test("is repeated after an answer without a task, as a redirect gives that makes a GET of it", async () => {
    api.on(ORDER, json(200, { tasks: [], next_cursor: null }), accepted);

    const ordered = await clientOf(api).submit("gpt-image-2", options);

    assert.equal(ordered.task_id, TASK);
    assert.equal(keys().length, 2);
    assert.equal(new Set(keys()).size, 1);
  });

  test("has a key of its own, or the caller's", async () => {
    api.on(ORDER, accepted);
    const client = clientOf(api);

    await client.submit("m", options);
    await client.submit("m", options);
    await client.submit("m", { ...options, idempotencyKey: "mine" });

    assert.equal(new Set(keys()).size, 3);
    assert.equal(keys()[2], "mine");
  });

  test("without a response says its key when the time is over", async () => {
    api.on(ORDER, drop);

    for (const method of ["submit", "subscribe"]) {
      const before = api.requests.length;
      const ordering = clientOf(api)[method]("m", { ...options, timeout: TIMEOUT }).catch((each) => each);
      await waits.expire(TIMEOUT, () => api.requests.length > before);
      const error = await ordering;

      assert.ok(error instanceof TimeoutError);
      assert.equal(error.taskId, undefined);
      assert.equal(error.idempotencyKey, keys().at(-1));
    }
  });

  test("that is refused says its key and the task that failed", async () => {
    api.on(ORDER, problem(422, "moderated", { task_id: "b".repeat(26) }));

    const error = await clientOf(api).subscribe("m", { ...options, idempotencyKey: "mine" }).catch((each) => each);

    assert.deepEqual([error.code, error.taskId, error.idempotencyKey], ["moderated", "b".repeat(26), "mine"]);
  });
});

describe("subscribe", () => {
  test("reports the id, each change, and returns the finished task", async () => {
    const etag = { ETag: '"1"' };
    const unchanged = () => ({ status: 304, headers: { ETag: '"1"', "Retry-After": "5" } });
    api.on(ORDER, accepted);
    api.on(READ, taskResponse("running", { progress: 10 }, etag), unchanged, unchanged, taskResponse("finished"));
    const enqueued = [];
    const updates = [];

    const finished = await clientOf(api).subscribe("m", {
      ...options,
      onEnqueue: (...given) => enqueued.push(given),
      onUpdate: (each) => updates.push(each.status),
    });

    assert.equal(finished.status, "finished");
    assert.deepEqual(enqueued, [[TASK, keys()[0]]]);
    assert.deepEqual(updates, ["not_started", "running", "finished"]);
    assert.deepEqual(api.sent(READ).map((each) => each.headers["if-none-match"]), [undefined, '"1"', '"1"', '"1"']);
  });

  test("polls at Retry-After and up to a quarter later, and never waits on a connection", async () => {
    api.on(ORDER, accepted).on(READ, ...Array(8).fill(taskResponse("running")), taskResponse("finished"));

    await clientOf(api).subscribe("m", options);

    const pauses = waits.filter((ms) => ms >= 5000);
    assert.equal(pauses.length, 9);
    assert.ok(pauses.every((ms) => ms <= 6250));
    assert.ok(new Set(pauses).size > 1, "jitter");
    assert.ok(api.requests.every((each) => !each.route.includes("wait=")));
  });

  test("waits on a connection where that is asked for, but not at first", async () => {
    const etag = { ETag: '"1"' };
    api.on(ORDER, accepted).on(READ, taskResponse("running", {}, etag), taskResponse("finished"));
    api.on(`${READ}?wait=20`, taskResponse("finished"));

    await clientOf(api).subscribe("m", { ...options, longPoll: true });

    assert.deepEqual(api.requests.map((each) => each.route), [ORDER, READ, `${READ}?wait=20`]);
    assert.equal(api.requests[2].headers["if-none-match"], '"1"');
    assert.ok(waits.filter((ms) => ms >= 1000 && ms <= 1250).length >= 2, "a pause between two");
  });

  test("returns what a replay has, without another request", async () => {
    api.on(ORDER, json(200, task("finished")));

    assert.equal((await clientOf(api).subscribe("m", options)).status, "finished");
    assert.equal(api.requests.length, 1);
  });

  test("throws the task that failed", async () => {
    api.on(ORDER, accepted).on(READ, taskResponse("failed"));

    const error = await clientOf(api).subscribe("m", options).catch((each) => each);

    assert.ok(error instanceof TaskFailedError);
    assert.deepEqual([error.taskId, error.task.error.code, error.message], [TASK, "moderated", "Refused."]);
  });

  test("stops waiting after its timeout, says the task, and leaves it alone", async () => {
    api.on(ORDER, accepted).on(READ, taskResponse("running"));

    const waiting = clientOf(api).subscribe("m", { ...options, timeout: TIMEOUT }).catch((each) => each);
    await waits.expire(TIMEOUT, () => api.sent(READ).length === 2);
    const error = await waiting;

    assert.ok(error instanceof TimeoutError);
    assert.deepEqual([error.taskId, error.idempotencyKey], [TASK, keys()[0]]);
    assert.ok(api.requests.every((each) => !each.route.startsWith("DELETE")));
    api.on(READ, taskResponse("finished"));
    assert.equal((await clientOf(api).attach(error.taskId)).status, "finished");
  });
});

describe("attach", () => {
  test("waits through everything that passes", async () => {
    const internal = problem(500, "internal", { retry: "same_key" });
    const throttled = json(429, { message: "Too Many Requests" });
    api.on(READ, drop, html(502), internal, throttled, cut, taskResponse("running"), drop, taskResponse("finished"));

    assert.equal((await clientOf(api).attach(TASK)).status, "finished");
    assert.equal(api.requests.length, 8);
  });

  for (const [status, code] of [[404, "no_such_task"], [401, "unauthorized"], [403, "insufficient_scope"]]) {
    test(`ends on ${status} with the task's id`, async () => {
      api.on(READ, taskResponse("running"), problem(status, code));

      const error = await clientOf(api).attach(TASK).catch((each) => each);

      assert.ok(error instanceof ApiError);
      assert.deepEqual([error.status, error.taskId], [status, TASK]);
      assert.equal(api.requests.length, 2);
    });
  }

  test("ends on an abort and leaves the task alone", async () => {
    api.on(READ, taskResponse("running"), silence);
    const controller = new AbortController();
    const waiting = clientOf(api).attach(TASK, { abortSignal: controller.signal });
    await until(() => api.requests.length === 2);

    controller.abort();

    await assert.rejects(waiting, { name: "AbortError" });
    assert.deepEqual(new Set(api.requests.map((each) => each.route)), new Set([READ]));
  });

  test("without a network ends at its timeout with the id and the reason", async () => {
    api.on(READ, drop);

    const waiting = clientOf(api).attach(TASK, { timeout: TIMEOUT }).catch((each) => each);
    await waits.expire(TIMEOUT, () => api.requests.length === 2);
    const error = await waiting;

    assert.deepEqual([error.name, error.taskId, error.cause.code], ["TimeoutError", TASK, "network_error"]);
  });
});
