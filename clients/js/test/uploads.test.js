import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ValidationError } from "../src/index.js";
import { clientOf, drop, html, json, MemoryStorage, png, problem, silence, task, TIMEOUT, until, useApi, useFastTimers } from "./support.js";

const api = useApi();
const waits = useFastTimers();
const CREATE = "POST /v1/uploads";
const FORM = "POST /bucket";
const stored = () => ({ status: 204 });

/** An API that gives each upload a number and stores the form. */
function withUploads(...forms) {
  let count = 0;
  api.on(CREATE, () => {
    const upload = { method: "POST", url: `${api.url}/bucket`, fields: { key: "k", policy: "p" } };
    return json(201, { file_url: `upload://${++count}`, upload, max_bytes: 1000, content_types: [] })();
  });
  api.on(FORM, ...(forms.length ? forms : [stored]));
}

describe("an upload", () => {
  test("sends the fields and then the file, without the key", async () => {
    withUploads();

    assert.equal(await clientOf(api).storage.upload(png()), "upload://1");

    const [form] = api.sent(FORM);
    const names = [...form.text.matchAll(/(?<=; )name="(\w+)"/g)].map((each) => each[1]);
    assert.deepEqual(names, ["key", "policy", "file"]);
    assert.ok(form.text.includes("\x89PNG"));
    assert.equal(form.headers.authorization, undefined);
  });

  for (const [bytes, type] of [
    [[0x89, 0x50, 0x4e, 0x47], "image/png"],
    [[0xff, 0xd8, 0xff, 0xe0], "image/jpeg"],
    [Buffer.from("RIFF\x01\x02\x03\x04WEBPVP8 "), "image/webp"],
    [Buffer.from("GIF89a"), "image/gif"],
  ]) {
    test(`is declared as ${type} by its bytes`, async () => {
      withUploads();

      await clientOf(api).storage.upload(new Blob([new Uint8Array(bytes)], { type: "image/gif" }));

      assert.deepEqual(api.sent(CREATE)[0].json(), { content_type: type });
    });
  }

  test("starts again with another form after a lost connection and a 5xx", async () => {
    withUploads(drop, html(503), stored);

    assert.equal(await clientOf(api).storage.upload(png()), "upload://3");
  });

  test("ends where the bucket or the API refuses it", async () => {
    withUploads(() => ({ status: 403, body: "<Error/>" }));
    await assert.rejects(clientOf(api).storage.upload(png()), { name: "ApiError", code: "http_403", retry: "never" });

    api.on(CREATE, problem(422, "invalid_request"));
    await assert.rejects(clientOf(api).storage.upload(png()), { code: "invalid_request" });
    assert.equal(api.sent(FORM).length, 1);
  });

  test("of a file that is too large is not sent", async () => {
    withUploads();

    const error = await clientOf(api).storage.upload(png(1001)).catch((each) => each);

    assert.ok(error instanceof ValidationError);
    assert.deepEqual(error.fieldErrors, { "/file": ["The file has 1001 bytes; at most 1000 are allowed."] });
    assert.equal(api.sent(FORM).length, 0);
  });

  test("ends on an abort", async () => {
    withUploads(silence);
    const controller = new AbortController();
    const sending = clientOf(api).storage.upload(png(), { abortSignal: controller.signal });
    await until(() => api.sent(FORM).length);

    controller.abort();

    await assert.rejects(sending, { name: "AbortError" });
  });
});

describe("files in an order", () => {
  test("are uploaded once, before it, for its quote and every repetition", async () => {
    withUploads();
    api.on("POST /v1/quotes", json(200, { credits: 2 })).on("POST /v1/tasks", drop, json(202, task()));
    const client = clientOf(api);
    const mask = png();
    const input = { prompt: "x", image_urls: ["https://x.example/1.png", png(), new File([mask], "m.png")], mask_url: mask };

    await client.quote("m", input);
    await client.submit("m", { input });

    const inputs = [...api.sent("POST /v1/quotes"), ...api.sent("POST /v1/tasks")].map((each) => each.json().input);
    assert.equal(inputs.length, 3);
    assert.deepEqual(inputs[0].image_urls[0], "https://x.example/1.png");
    assert.deepEqual(new Set([...inputs[0].image_urls.slice(1), inputs[0].mask_url]), new Set(["upload://1", "upload://2", "upload://3"]));
    assert.deepEqual([inputs[1], inputs[2]], [inputs[0], inputs[0]]);
    assert.equal(api.sent(FORM).length, 3);
    assert.ok(input.mask_url === mask, "the caller's input is unchanged");
  });

  test("are uploaded again after an upload that failed", async () => {
    withUploads(() => ({ status: 403 }), stored);
    api.on("POST /v1/tasks", json(202, task()));
    const client = clientOf(api);
    const order = { input: { prompt: "x", image_urls: [png()] } };

    await assert.rejects(client.submit("m", order), { code: "http_403" });
    assert.equal(api.sent("POST /v1/tasks").length, 0);
    await client.submit("m", order);

    assert.deepEqual(api.sent("POST /v1/tasks")[0].json().input.image_urls, ["upload://2"]);
  });

  test("count for the timeout of the order, which then was not sent", async () => {
    withUploads(drop);
    const order = { input: { prompt: "x", image_urls: [png()] }, timeout: TIMEOUT };

    for (const method of ["submit", "subscribe"]) {
      const before = api.requests.length;
      const ordering = clientOf(api)[method]("m", order).catch((each) => each);
      await waits.expire(TIMEOUT, () => api.requests.length > before);
      const error = await ordering;

      assert.equal(error.name, "TimeoutError");
      assert.match(error.idempotencyKey, /^[0-9a-f]{32}$/);
    }
    assert.equal(api.sent("POST /v1/tasks").length, 0);
  });

  test("count for the timeout of a quote and of an outbox", async () => {
    withUploads(drop);
    const order = { model: "m", input: { prompt: "x", image_urls: [png()] }, timeout: TIMEOUT };
    const client = clientOf(api);

    for (const call of [
      () => client.quote("m", order.input, { timeout: TIMEOUT }),
      () => client.outbox(new MemoryStorage()).send(order),
    ]) {
      const before = api.requests.length;
      const calling = assert.rejects(call(), { name: "TimeoutError" });
      await waits.expire(TIMEOUT, () => api.requests.length > before);
      await calling;
    }
  });
});
