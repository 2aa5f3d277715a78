import assert from "node:assert/strict";
import { afterEach, describe, mock, test } from "node:test";
import { createTokenRoute } from "../src/server.js";
import { drop, html, json, KEY, problem, useApi } from "./support.js";

const api = useApi();
const ISSUE = "POST /v1/tokens";
const request = new Request("http://shop.example/token", { method: "POST", headers: { Cookie: "user=ada" } });
const log = mock.method(console, "error", () => undefined);
const userOf = (each) => each.headers.get("cookie")?.split("=")[1] ?? null;
const token = { token: "e30.e30.s", token_id: "t", expires_at: "2026-11-28T12:00:00Z", owner: "ada" };

afterEach(() => {
  log.mock.resetCalls();
  delete process.env.IMAGETASKS_URL;
  delete process.env.IMAGETASKS_KEY;
});

function configured() {
  process.env.IMAGETASKS_URL = `${api.url}/`;
  process.env.IMAGETASKS_KEY = KEY;
}

describe("a token route", () => {
  test("issues a token of the user with the limits of the route", async () => {
    configured();
    api.on(ISSUE, json(201, token));
    const limits = { maxCredits: 50, ttl: 600, models: ["gpt-image-2"], origin: "https://shop.example", maxTasks: 5, scopes: ["tasks:read"] };

    const response = await createTokenRoute({ owner: userOf, ...limits }).POST(request);

    assert.equal(response.status, 200);
    assert.equal(response.headers.get("cache-control"), "no-store");
    assert.deepEqual(await response.json(), token);
    const [sent] = api.requests;
    assert.equal(sent.headers.authorization, `Bearer ${KEY}`);
    assert.deepEqual(sent.json(), {
      owner: "ada",
      max_credits: 50,
      ttl_s: 600,
      models: ["gpt-image-2"],
      origin: "https://shop.example",
      max_tasks: 5,
      scopes: ["tasks:read"],
    });
  });

  for (const nobody of [null, undefined, ""]) {
    test(`refuses everybody whose owner is ${JSON.stringify(nobody)}`, async () => {
      configured();

      const response = await createTokenRoute({ owner: async () => nobody, maxCredits: 50 }).POST(request);

      assert.equal(response.status, 401);
      assert.equal((await response.json()).code, "unauthorized");
      assert.equal(api.requests.length, 0);
    });
  }

  for (const [name, response] of [["403", problem(403, "server_key_required")], ["503", html(503)], ["no response", drop]]) {
    test(`says only that there is no token after ${name}`, async () => {
      api.on(ISSUE, response);
      const route = createTokenRoute({ owner: userOf, maxCredits: 50, baseUrl: api.url, key: KEY });

      const refused = await route.POST(request);

      assert.equal(refused.status, 502);
      assert.deepEqual(Object.keys(await refused.json()), ["status", "code", "detail", "retry", "charged"]);
      assert.equal(log.mock.callCount(), 1);
      assert.ok(!String(log.mock.calls[0].arguments).includes(KEY));
    });
  }

  test("names the variable that is missing, and none before the first request", async () => {
    const route = createTokenRoute({ owner: userOf, maxCredits: 50 });

    await assert.rejects(route.POST(request), /IMAGETASKS_URL is not set/);
    process.env.IMAGETASKS_URL = api.url;
    await assert.rejects(route.POST(request), /IMAGETASKS_KEY is not set/);
  });
});
