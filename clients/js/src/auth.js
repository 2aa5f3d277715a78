import { createDeadline } from "./deadline.js";
import { ApiError, errorOf, networkError } from "./errors.js";
import { parsed, received } from "./transport.js";

const RENEW_AT = 0.8; // of a token's life
const ISSUE_MS = 30_000;

/**
 * Where requests get their token: `token()` before a request, `renew(refused)` once after a 401. Tokens of
 * `authUrl` or `authCallback` are renewed at 80 % of their life, by one request however many wait for it.
 */
export function createAuth({ credentials, authUrl, authCallback, fetch }) {
  if (!authUrl && !authCallback) {
    return { renews: false, token: async () => credentials, renew: async () => credentials };
  }
  const issue = authCallback ? () => called(authCallback) : () => requested(authUrl, fetch);
  let current, pending, user;

  /** Another user does not pay for what is sent again. */
  function take(answer) {
    const next = lifeOf(answer);
    user ??= next.sub;
    if (next.sub !== user) throw refused("another_user", "The token is now another user's: reload the page.");
    current = next;
  }

  function issued() {
    pending ??= issue()
      .then(take)
      .finally(() => (pending = undefined));
    return pending.then(() => current.token, fail);
  }

  return {
    renews: true,
    async token() {
      if (current && Date.now() < current.renewAt) return current.token;
      try {
        return await issued();
      } catch (error) {
        if (current && Date.now() < current.endsAt) return current.token; // still good for a fifth of its life
        throw error;
      }
    },
    async renew(refused) {
      if (current && current.token !== refused) return current.token; // another request has renewed it
      current = undefined;
      return issued();
    },
  };
}

/** Each request that waited for the token gets an error of its own, which may be given its task's id. */
function fail(error) {
  throw error instanceof ApiError ? new ApiError(error.problem, { cause: error.cause }) : error;
}

async function called(authCallback) {
  try {
    return checked(await authCallback());
  } catch (error) {
    // What `fetch` throws in every browser and in Node if there is no connection.
    throw error instanceof TypeError ? networkError("authCallback failed", error) : error;
  }
}

async function requested(authUrl, fetch) {
  const onTimeout = () => networkError(`no response of ${authUrl}`);
  const { signal, close } = createDeadline({ timeout: ISSUE_MS, onTimeout });
  try {
    const answer = await received(() => fetch(authUrl, { method: "POST", signal, cache: "no-store" }));
    if (answer.status > 299) throw errorOf(answer.status, answer.headers, answer.body);
    return checked(answer.body);
  } finally {
    close();
  }
}

function checked(answer) {
  const issued = typeof answer === "string" ? { token: answer } : answer;
  if (issued?.token) return issued;
  throw refused("unauthorized", "no token was issued");
}

const refused = (code, detail) => new ApiError({ status: 401, code, retry: "never", detail });

/**
 * When to renew a token and when it ends, by this machine's clock. The claims tell its whole life even where
 * that clock is wrong; `expires_at` tells what is left of it.
 */
function lifeOf({ token, expires_at }) {
  const { sub, iat, exp } = parsed(decoded(token.split(".")[1])) ?? {};
  const whole = (exp - iat) * 1000;
  const left = Date.parse(expires_at) - Date.now();
  const life = left > 0 && !(left > whole) ? left : whole;
  const now = Date.now();
  if (!Number.isFinite(life)) return { token, sub, renewAt: Infinity, endsAt: Infinity }; // a 401 renews it
  return { token, sub, renewAt: now + RENEW_AT * life, endsAt: now + life };
}

function decoded(part = "") {
  try {
    return atob(part.replaceAll("-", "+").replaceAll("_", "/"));
  } catch {
    return "";
  }
}
