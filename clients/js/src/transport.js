import { createDeadline, pause, unlessAborted } from "./deadline.js";
import { ApiError, errorOf, isTransient, networkError, TimeoutError } from "./errors.js";

const REQUEST_MS = 40_000; // longer than the API's longest wait
const RETRY = { minDelay: 500, maxDelay: 20_000, timeout: 60_000 }; // all in ms

/**
 * Sends requests. `attempt` sends one, `repeat` repeats what may pass, `call` does both until its timeout.
 * Responses are `{ status, headers, body }`, with a `body` of undefined for 204 and 304.
 */
export function createTransport({ baseUrl, fetch, auth, owner, retry }) {
  const root = baseUrl.replace(/\/+$/, "");
  const policy = { ...RETRY, ...retry };

  async function exchange(method, path, { body, headers }, token, signal) {
    const sent = { ...headers };
    if (token) sent.Authorization = `Bearer ${token}`;
    if (owner) sent["X-Owner"] = owner;
    if (body !== undefined) sent["Content-Type"] = "application/json";
    const text = body === undefined ? undefined : JSON.stringify(body);
    return received(() => fetch(root + path, { method, headers: sent, body: text, signal, cache: "no-store" }));
  }

  async function attempt(method, path, request = {}) {
    const onTimeout = () => networkError(`no response within ${REQUEST_MS} ms`);
    const deadline = createDeadline({ timeout: REQUEST_MS, signal: request.signal, onTimeout });
    const { signal } = deadline;
    try {
      const token = await unlessAborted(auth.token(), signal);
      let response = await exchange(method, path, request, token, signal);
      if (response.status === 401 && auth.renews) {
        const renewed = await unlessAborted(auth.renew(token), signal);
        response = await exchange(method, path, request, renewed, signal);
      }
      return accepted(response, request.expected);
    } catch (error) {
      throw signal.aborted ? signal.reason : error;
    } finally {
      deadline.close();
    }
  }

  /** A deadline whose TimeoutError carries `ids`, as they are then, and the last error as its cause. */
  function deadlineOf({ timeout = policy.timeout, abortSignal }, ids) {
    const onTimeout = () => new TimeoutError(ids, deadline.lastError);
    const deadline = createDeadline({ timeout, signal: abortSignal, onTimeout });
    return deadline;
  }

  /** Runs `action(deadline)` within the deadline of a larger operation, or else one of its own. */
  async function within({ deadline, ...options }, ids, action) {
    const own = deadline ?? deadlineOf(options, ids);
    try {
      return await action(own);
    } catch (error) {
      if (error instanceof ApiError) {
        error.taskId ??= ids.taskId;
        error.idempotencyKey ??= ids.idempotencyKey;
      }
      throw error;
    } finally {
      if (!deadline) own.close();
    }
  }

  async function repeat(action, deadline, { patient = false } = {}) {
    for (let delay = policy.minDelay; ; delay = Math.min(2 * delay, policy.maxDelay)) {
      try {
        return await action(deadline.signal);
      } catch (error) {
        const told = 1000 * (error.retryAfter ?? 0);
        if (!isTransient(error, patient) || (!patient && told > deadline.left())) throw error;
        deadline.lastError = error;
        await pause(Math.max(delay, told), deadline.signal);
      }
    }
  }

  async function call(method, path, { body, headers, expected, check, ids = {}, ...options } = {}) {
    const send = (signal) => {
      check?.();
      return attempt(method, path, { body, headers, expected, signal });
    };
    return within(options, ids, (deadline) => repeat(send, deadline));
  }

  return { attempt, call, deadlineOf, repeat, within };
}

/** The JSON value, or undefined. */
export function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The whole response of `send`; a connection that ends before it does is a network error. */
export async function received(send) {
  try {
    const response = await send();
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: parsed(text) };
  } catch (error) {
    throw networkError("no complete response", error);
  }
}

function accepted(response, expected) {
  const { status, headers, body } = response;
  if (status === 204 || status === 304) return response;
  if (status < 200 || status > 299) throw errorOf(status, headers, body);
  if (typeof body === "object" && body && (!expected || expected in body)) return response;
  // For instance the login page of a hotel's network.
  const detail = `HTTP ${status} with a body that is not the service's`;
  throw new ApiError({ status, code: "invalid_response", retry: "same_key", detail });
}
