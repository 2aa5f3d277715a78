import { createServer } from "node:http";
import { after, afterEach, beforeEach } from "node:test";
import { createClient } from "../src/index.js";

export const TASK = "a".repeat(26);
export const KEY = "it_sk_test";

/** An API of this process that follows a script and records requests. */
class ScriptedApi {
  requests = [];
  #script = new Map();

  reset() {
    this.requests = [];
    this.#script.clear();
  }

  /** The responses to `METHOD path`, one after the other; the last one is repeated. */
  on(route, ...responses) {
    this.#script.set(route, responses);
    return this;
  }

  sent(route) {
    return this.requests.filter((each) => each.route === route);
  }

  async handle(request, response) {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const { method, url, headers } = request;
    const text = Buffer.concat(chunks).toString("latin1");
    const route = `${method} ${url}`;
    this.requests.push({ route, headers, text, json: () => JSON.parse(Buffer.from(text, "latin1")) });
    const path = `${method} ${url.split("?")[0]}`;
    const steps = this.#script.get(route) ?? this.#script.get(path) ?? [problem(404, "no_such_route")];
    const step = steps.length > 1 ? steps.shift() : steps[0];
    const { status, headers: more, body } = (await step(request, response)) ?? {};
    if (status) response.writeHead(status, more).end(body);
  }
}

/** Starts an API for each test of a file. */
export function useApi() {
  const api = new ScriptedApi();
  const server = createServer((request, response) => api.handle(request, response).catch(() => request.socket.destroy()));
  beforeEach(async () => {
    api.reset();
    if (!server.listening) await new Promise((done) => server.listen(0, "127.0.0.1", done));
    api.url = `http://127.0.0.1:${server.address().port}`;
  });
  afterEach(() => server.closeAllConnections());
  after(() => server.close());
  return api;
}

export function clientOf(api, options = {}) {
  return createClient({ baseUrl: api.url, credentials: KEY, ...options });
}

/** A JSON response. */
export function json(status, body, headers = {}) {
  return () => ({ status, headers: { "Content-Type": "application/json", ...headers }, body: JSON.stringify(body) });
}

export function problem(status, code, more = {}, headers = {}) {
  const body = { type: "about:blank", title: code, status, code, detail: `It is ${code}.`, retry: "never", charged: false };
  return json(status, { ...body, request_id: "r-1", ...more }, headers);
}

/** What gateways and load balancers send. */
export const html = (status) => () => ({ status, headers: { "Content-Type": "text/html" }, body: "<h1>Bad</h1>" });

/** The connection ends before the response. */
export const drop = (request) => request.socket.destroy();

/** The connection ends within the body. */
export const cut = (request, response) => {
  response.writeHead(200, { "Content-Length": 1000 });
  response.write('{"task_id": "');
  setTimeout(() => request.socket.destroy(), 2000);
};

/** No response comes. */
export const silence = () => undefined;

export function task(status = "running", more = {}) {
  const error = { code: "moderated", message: "Refused.", retry: "never", charged: false };
  return { task_id: TASK, status, progress: null, files: [], error: status === "failed" ? error : null, ...more };
}

export function taskResponse(status, more = {}, headers = {}) {
  return json(200, task(status, more), status === "running" ? { "Retry-After": "5", ...headers } : headers);
}

export const TIMEOUT = 77_777; // a client's timeout, which passes when a test says so

/**
 * Pauses pass a hundred times as fast, and longer timers only by `expire(ms)`, so that no test depends on the
 * speed of its machine. `waits` lists the pauses as they were asked for.
 */
export function useFastTimers() {
  const original = globalThis.setTimeout;
  const waits = [];
  let long;
  beforeEach(() => {
    waits.length = 0;
    long = [];
    globalThis.setTimeout = (action, ms = 0, ...rest) => {
      if (ms >= 30_000) long.push({ action, ms });
      else waits.push(ms);
      return ms >= 30_000 ? original(() => undefined, 0) : original(action, ms / 100, ...rest);
    };
  });
  afterEach(() => (globalThis.setTimeout = original));
  waits.expire = async (ms, condition) => {
    await until(condition);
    for (const timer of long.splice(0)) timer.ms === ms ? timer.action() : long.push(timer);
  };
  return waits;
}

/** What a Storage of a browser does. */
export class MemoryStorage {
  #items = new Map();
  get length() {
    return this.#items.size;
  }
  key(index) {
    return [...this.#items.keys()][index] ?? null;
  }
  getItem(key) {
    return this.#items.get(key) ?? null;
  }
  setItem(key, value) {
    this.#items.set(key, String(value));
  }
  removeItem(key) {
    this.#items.delete(key);
  }
}

/** Resolves once `condition` holds; a minute later it never will. */
export async function until(condition) {
  const end = performance.now() + 60_000;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`not reached: ${condition}`);
    await new Promise((done) => setImmediate(done));
  }
}

/** A Blob without a type that begins like a PNG. */
export function png(size = 100) {
  const bytes = new Uint8Array(size);
  bytes.set([0x89, 0x50, 0x4e, 0x47]);
  return new Blob([bytes]);
}
