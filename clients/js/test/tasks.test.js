import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { clientOf, cut, drop, html, json, problem, silence, TASK, task, TIMEOUT, until, useApi, useFastTimers } from "./support.js";

const api = useApi();
const waits = useFastTimers();
const MANY = "GET /v1/tasks";
const [A, B, C] = ["a", "b", "c"].map((letter) => letter.repeat(26));
const of = (task_id, status = "running", more = {}) => task(status, { task_id, ...more });

/** The API's response about many tasks. */
function states(tasks, { not_found = [], remaining = [], etag = '"1"', retryAfter = "5" } = {}) {
  return json(200, { tasks, not_found, remaining }, { ETag: etag, "Retry-After": retryAfter });
}
const unchanged = () => ({ status: 304, headers: { ETag: '"1"', "Retry-After": "5" } });

async function collect(iterable) {
  const found = [];
  for await (const each of iterable) found.push(`${each.task_id[0]} ${each.status} ${each.progress}`);
  return found;
}

const asked = () => api.requests.map((each) => new URLSearchParams(each.route.split("?")[1]).get("task_ids").split(","));

describe("watch", () => {
  test("yields each state once, asks only for what goes on, and ends with the last task", async () => {
    api.on(
      MANY,
      states([of(A), of(B)]),
      unchanged,
      states([of(A, "running", { progress: 50 }), of(B)]),
      states([of(A, "finished"), of(B, "running", { progress: 50 })]),
      states([of(B, "failed")]),
    );

    const seen = await collect(clientOf(api).tasks.watch([A, B, A]));

    assert.deepEqual(seen, ["a running null", "b running null", "a running 50", "a finished null", "b running 50", "b failed null"]);
    assert.deepEqual(asked(), [[A, B], [A, B], [A, B], [A, B], [B]]);
    assert.deepEqual(api.requests.map((each) => each.headers["if-none-match"]), [undefined, '"1"', '"1"', '"1"', undefined]);
    assert.equal(waits.filter((ms) => ms >= 5000 && ms <= 6250).length, 4);
    assert.ok(api.requests.every((each) => !each.route.includes("wait=")));
  });

  test("asks for at most a hundred at a time", async () => {
    const ids = Array.from({ length: 250 }, (_, n) => `t${n}`);
    api.on(MANY, (request) => {
      const named = new URL(request.url, api.url).searchParams.get("task_ids").split(",");
      return states(named.map((id) => of(id, "finished")))();
    });

    assert.equal((await collect(clientOf(api).tasks.watch(ids))).length, 250);
    assert.deepEqual(asked().map((each) => each.length), [100, 100, 50]);
  });

  test("says which tasks there are not, and ends without them", async () => {
    const missing = [];
    api.on(MANY, states([of(A)], { not_found: [B] }), states([], { not_found: [A] }));

    const seen = await collect(clientOf(api).tasks.watch([A, B], { onMissing: (id) => missing.push(id) }));

    assert.deepEqual(seen, ["a running null"]);
    assert.deepEqual(missing, [B, A]);
  });

  test("asks in another request for what did not fit, each time", async () => {
    api.on(`${MANY}?task_ids=${A},${B},${C}`, states([of(A)], { remaining: [B, C] }), unchanged);
    api.on(`${MANY}?task_ids=${B},${C}`, states([of(B), of(C)]), states([of(B, "finished"), of(C, "finished")]));
    api.on(`${MANY}?task_ids=${A}`, states([of(A, "finished")]));

    const seen = await collect(clientOf(api).tasks.watch([A, B, C]));

    assert.deepEqual(seen, ["a running null", "b running null", "c running null", "b finished null", "c finished null", "a finished null"]);
    assert.deepEqual(asked(), [[A, B, C], [B, C], [A, B, C], [B, C], [A]]);
  });

  test("goes on after everything that passes", async () => {
    const internal = problem(500, "internal", { retry: "same_key" });
    api.on(MANY, states([of(A)]), drop, html(503), json(429, {}), cut, internal, states([of(A, "finished")]));

    assert.deepEqual(await collect(clientOf(api).tasks.watch([A])), ["a running null", "a finished null"]);
  });

  for (const [status, code] of [[401, "unauthorized"], [403, "insufficient_scope"], [400, "invalid_parameter"]]) {
    test(`ends with the error on ${status}`, async () => {
      api.on(MANY, states([of(A)]), problem(status, code));

      await assert.rejects(collect(clientOf(api).tasks.watch([A])), { name: "ApiError", code });
      assert.equal(api.requests.length, 2);
    });
  }

  test("ends on an abort, at its timeout, and when nobody reads on", async () => {
    api.on(MANY, states([of(A)]), silence);
    const controller = new AbortController();
    const watching = collect(clientOf(api).tasks.watch([A], { abortSignal: controller.signal }));
    await until(() => api.requests.length === 2);
    controller.abort();
    await assert.rejects(watching, { name: "AbortError" });

    const late = assert.rejects(collect(clientOf(api).tasks.watch([A], { timeout: TIMEOUT })), { name: "TimeoutError" });
    await waits.expire(TIMEOUT, () => api.requests.length === 3);
    await late;

    api.on(MANY, states([of(A)]));
    const before = api.requests.length;
    for await (const each of clientOf(api).tasks.watch([A])) if (each) break;
    assert.equal(api.requests.length, before + 1);
  });

  test("waits on one connection where that is asked for, of one group alone", async () => {
    const ids = `${MANY}?task_ids=${A}`;
    api.on(ids, states([of(A)])).on(`${ids}&wait=20`, states([of(A, "finished")]));

    await collect(clientOf(api).tasks.watch([A], { longPoll: true }));
    assert.deepEqual(api.requests.map((each) => each.route), [ids, `${ids}&wait=20`]);
    assert.ok(waits.some((ms) => ms >= 1000 && ms <= 1250));

    api.requests = [];
    const many = Array.from({ length: 101 }, (_, n) => `t${n}`);
    api.on(MANY, states([of("t0")]), states([]), states([], { not_found: many }));
    await collect(clientOf(api).tasks.watch(many, { longPoll: true }));
    assert.ok(api.requests.every((each) => !each.route.includes("wait=")));
  });

  test("of nothing ends without a request", async () => {
    assert.deepEqual(await collect(clientOf(api).tasks.watch([])), []);
    assert.equal(api.requests.length, 0);
  });
});

describe("lists", () => {
  test("are read page by page to the end", async () => {
    api.on(`${MANY}?status=finished&limit=2`, json(200, { tasks: [of(A)], next_cursor: "n/1" }));
    api.on(`${MANY}?status=finished&limit=2&cursor=n%2F1`, drop, json(200, { tasks: [], next_cursor: "n2" }));
    api.on(`${MANY}?status=finished&limit=2&cursor=n2`, json(200, { tasks: [of(B)], next_cursor: null }));

    const seen = await collect(clientOf(api).tasks.iterate({ status: "finished", limit: 2 }));

    assert.equal(seen.length, 2);
  });

  test("have one page without a filter", async () => {
    api.on(MANY, json(200, { tasks: [of(A)], next_cursor: null }));

    assert.equal((await clientOf(api).tasks.list()).tasks[0].task_id, A);
    assert.equal(api.requests[0].route, MANY);
  });
});

test("a task is deleted, again after a lost response", async () => {
  api.on(`DELETE /v1/tasks/${TASK}`, drop, () => ({ status: 204 }));

  assert.equal(await clientOf(api).tasks.delete(TASK), undefined);
  assert.equal(api.requests.length, 2);
});

test("an id is one segment of the path", async () => {
  await assert.rejects(clientOf(api).tasks.get("../usage?x"), { status: 404 });
  assert.equal(api.requests[0].route, "GET /v1/tasks/..%2Fusage%3Fx");
});

test("usage and quotes have the parameters of the API", async () => {
  api.on("GET /v1/usage", json(200, { rows: [] })).on("POST /v1/quotes", json(200, { credits: 2 }));

  await clientOf(api).usage({ from: "2026-11-01", to: "2026-11-02" });
  await clientOf(api).usage();
  await clientOf(api).quote("m", { prompt: "x" }, { maxCredits: 3 });

  assert.deepEqual(api.requests.map((each) => each.route), ["GET /v1/usage?from=2026-11-01&to=2026-11-02", "GET /v1/usage", "POST /v1/quotes"]);
  assert.deepEqual(api.requests[2].json(), { model: "m", input: { prompt: "x" }, max_credits: 3 });
});
