import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";
import { createClient } from "../src/index.js";
import { clientOf, drop, html, json, KEY, problem, TASK, task, taskResponse, useApi, useFastTimers } from "./support.js";

const api = useApi();
useFastTimers();
const READ = `GET /v1/tasks/${TASK}`;
const ISSUE = "POST /token";
const realNow = Date.now;
afterEach(() => (Date.now = realNow));

/** A token as the API issues it: `life` seconds, by the server's clock. */
function issued(name, { life = 900, serverNow = realNow() / 1000, sub = "ann" } = {}) {
  const claims = Buffer.from(JSON.stringify({ jti: name, sub, iat: serverNow, exp: serverNow + life })).toString("base64url");
  return { token: `e30.${claims}.sig-${name}`, expires_at: new Date((serverNow + life) * 1000).toISOString() };
}

/** The API's response to a request whose token is not among `refused`. */
const unless = (refused, response) => (request, out) => {
  const name = request.headers.authorization.split("sig-")[1];
  return (refused.has(name) ? problem(401, "invalid_token") : response)(request, out);
};

const page = (options) => createClient({ baseUrl: api.url, authUrl: `${api.url}/token`, ...options });
const used = () => api.sent(READ).map((each) => each.headers.authorization.split("sig-")[1]);

describe("a token of authUrl", () => {
  test("is requested once for many requests at the same time", async () => {
    api.on(ISSUE, json(200, issued("a")), json(200, issued("b"))).on(READ, taskResponse("finished"));
    const client = page();

    await Promise.all(Array.from({ length: 10 }, () => client.tasks.get(TASK)));

    assert.equal(api.sent(ISSUE).length, 1);
    assert.deepEqual(new Set(used()), new Set(["a"]));
  });

  test("is renewed at 80 % of its life", async () => {
    api.on(ISSUE, json(200, issued("a", { life: 1000 })), json(200, issued("b"))).on(READ, taskResponse("finished"));
    const client = page();
    const began = realNow();

    for (const second of [0, 790, 810, 820]) {
      Date.now = () => began + second * 1000;
      await client.tasks.get(TASK);
    }

    assert.deepEqual(used(), ["a", "a", "b", "b"]);
  });

  for (const [name, hours] of [["slow", -5], ["fast", 5]]) {
    test(`is kept for its life by a clock that is hours too ${name}`, async () => {
      const serverNow = realNow() / 1000 - hours * 3600;
      api.on(ISSUE, json(200, issued("a", { serverNow })), json(200, issued("b", { serverNow }))).on(READ, taskResponse("finished"));
      const client = page();
      const began = realNow();

      for (const second of [0, 700, 740]) {
        Date.now = () => began + second * 1000;
        await client.tasks.get(TASK);
      }

      assert.deepEqual(used(), ["a", "a", "b"]);
    });
  }

  test("that was cached somewhere is renewed by what is left of it", async () => {
    const serverNow = realNow() / 1000 - 800; // 100 of 900 s are left
    api.on(ISSUE, json(200, issued("a", { serverNow })), json(200, issued("b"))).on(READ, taskResponse("finished"));
    const client = page();
    await client.tasks.get(TASK);

    Date.now = () => realNow() + 85_000;
    await client.tasks.get(TASK);

    assert.deepEqual(used(), ["a", "b"]);
  });

  test("is renewed once after a 401, by one request for all that wait", async () => {
    const refused = new Set();
    api.on(ISSUE, json(200, issued("a")), json(200, issued("b"))).on(READ, unless(refused, taskResponse("finished")));
    const client = page();
    await client.tasks.get(TASK);

    refused.add("a");
    const tasks = await Promise.all(Array.from({ length: 5 }, () => client.tasks.get(TASK)));

    assert.ok(tasks.every((each) => each.status === "finished"));
    assert.equal(api.sent(ISSUE).length, 2);
    assert.equal(used().filter((name) => name === "b").length, 5);
  });

  test("is not renewed again if the new one is refused, too", async () => {
    api.on(ISSUE, json(200, issued("a")), json(200, issued("b"))).on(READ, problem(401, "invalid_token"));

    await assert.rejects(page().tasks.get(TASK), { name: "ApiError", status: 401, code: "invalid_token" });
    assert.deepEqual(used(), ["a", "b"]);
  });

  test("that is refused in the middle of an order changes neither key nor body", async () => {
    api.on(ISSUE, json(200, issued("a")), json(200, issued("b")));
    api.on("POST /v1/tasks", unless(new Set(["a"]), json(202, task("running"))));

    await page().submit("m", { input: { prompt: "x" } });

    const orders = api.sent("POST /v1/tasks");
    assert.equal(orders.length, 2);
    assert.equal(new Set(orders.map((each) => each.headers["idempotency-key"] + each.text)).size, 1);
  });

  test("of another user neither sends nor reads what the first has begun", async () => {
    api.on(ISSUE, json(200, issued("a")), json(200, issued("b", { sub: "bob" })));
    api.on("POST /v1/tasks", (request) => request.socket.destroy(), unless(new Set(["a"]), json(202, task("running"))));
    api.on(READ, taskResponse("finished"));
    const client = page();

    await assert.rejects(client.submit("m", { input: { prompt: "x" } }), { status: 401, code: "another_user" });
    await assert.rejects(client.tasks.get(TASK), { status: 401, code: "another_user" });

    const sent = api.requests.filter(({ route }) => route !== ISSUE);
    assert.deepEqual(sent.map((each) => each.headers.authorization.split("sig-")[1]), ["a", "a"]);
  });

  test("is used to its end while no other can be had", async () => {
    api.on(ISSUE, json(200, issued("a", { life: 1000 })), html(503)).on(READ, taskResponse("finished"));
    const client = page();
    await client.tasks.get(TASK);
    const began = realNow();

    Date.now = () => began + 900_000;
    await client.tasks.get(TASK);

    assert.deepEqual(used(), ["a", "a"]);
    api.on(ISSUE, json(200, issued("c")));
    Date.now = () => began + 1_001_000;
    await client.tasks.get(TASK);
    assert.equal(used().at(-1), "c");
  });

  test("is requested again where that may pass", async () => {
    api.on(ISSUE, drop, html(502), json(200, issued("a"))).on(READ, taskResponse("finished"));

    assert.equal((await page().tasks.get(TASK)).status, "finished");
    assert.equal(api.sent(ISSUE).length, 3);
  });

  test("that nobody gets who is not logged in ends the request", async () => {
    api.on(ISSUE, problem(401, "unauthorized"));

    await assert.rejects(page().attach(TASK), { name: "ApiError", status: 401, taskId: TASK });
    assert.equal(api.requests.length, 1);
  });

  test("that cannot be had gives each task an error of its own", async () => {
    api.on(ISSUE, problem(401, "unauthorized"));
    const client = page();

    const errors = await Promise.all([TASK, "b".repeat(26)].map((id) => client.tasks.get(id).catch((each) => each)));

    assert.deepEqual(errors.map((each) => each.taskId), [TASK, "b".repeat(26)]);
    assert.equal(api.requests.length, 1);
  });
});

describe("a token of authCallback", () => {
  const client = (authCallback) => createClient({ baseUrl: api.url, authCallback });

  test("may be a text, which a 401 renews", async () => {
    const names = ["a", "b"];
    api.on(READ, unless(new Set(["a"]), taskResponse("finished")));

    await client(async () => issued(names.shift()).token).tasks.get(TASK);

    assert.deepEqual(used(), ["a", "b"]);
  });

  test("is asked for again after a lost connection", async () => {
    let calls = 0;
    api.on(READ, taskResponse("finished"));
    const authCallback = async () => {
      calls += 1;
      if (calls === 1) throw new TypeError("fetch failed");
      return issued("a");
    };

    await client(authCallback).tasks.get(TASK);

    assert.equal(calls, 2);
  });

  test("ends the request with the callback's error, or without a token", async () => {
    await assert.rejects(client(async () => { throw new RangeError("mine"); }).attach(TASK), RangeError);
    await assert.rejects(client(async () => null).attach(TASK), { name: "ApiError", status: 401 });
    assert.equal(api.requests.length, 0);
  });
});

test("fixed credentials are not repeated after a 401", async () => {
  api.on(READ, problem(401, "unauthorized"));

  await assert.rejects(clientOf(api).tasks.get(TASK), { status: 401 });

  assert.deepEqual(api.requests.map((each) => each.headers.authorization), [`Bearer ${KEY}`]);
});

test("without credentials nothing is sent in their place", async () => {
  api.on(READ, taskResponse("finished"));

  await createClient({ baseUrl: `${api.url}/` }).tasks.get(TASK);

  assert.equal(api.requests[0].headers.authorization, undefined);
});
