import { createClient } from "./client/index.js";

/** Where the API is: where this page is. */
export const base = new URL(".", location.href).href.replace(/\/$/, "");

const OWNER = "playground";

/** What the user entered is not accepted; the message says why. */
class Refused extends Error {}

/**
 * The client of this page. Its tokens come from the local system, or from a token or server key that the user
 * enters: these stay in this closure, so that they end with the page. `owner()` resolves with the first token.
 */
export function createSession({ askAccess, fetch }) {
  let access; // gives a token, once the user has entered something
  let local = true;
  let known;
  const first = Promise.withResolvers();

  async function issue() {
    if (local) {
      const response = await fetch(`${base}/page/token`, { method: "POST" });
      if (response.ok) return accepted(await response.json());
      if (![404, 405].includes(response.status)) throw new TypeError(`no token: HTTP ${response.status}`);
      local = false;
    }
    for (let problem = ""; ; ) {
      access ??= accessOf(await askAccess(problem), fetch);
      try {
        return accepted(await access());
      } catch (error) {
        if (!(error instanceof Refused)) throw error; // no connection: the same again later
        access = undefined;
        problem = error.message;
      }
    }
  }

  /** The orders that wait here are one user's. */
  function accepted(issued) {
    const { sub } = claimsOf(issued.token);
    if (known !== undefined && sub !== known) throw new Refused("This is another user's. Reload the page to change the user.");
    known = sub;
    first.resolve(sub);
    return issued;
  }

  return { client: createClient({ baseUrl: base, authCallback: issue, fetch }), owner: () => first.promise };
}

const claimsOf = (token) => JSON.parse(atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/")));

function accessOf({ secret, maxCredits }, fetch) {
  return isToken(secret) ? tokenAccess(secret, fetch) : keyAccess(secret, maxCredits, fetch);
}

function isToken(secret) {
  try {
    return Boolean(claimsOf(secret));
  } catch {
    return false;
  }
}

/** A token is what it is, as long as it is accepted. */
function tokenAccess(token, fetch) {
  return async () => {
    const response = await fetch(`${base}/v1/tasks?limit=1`, { headers: { Authorization: `Bearer ${token}` } });
    if (response.status === 401) throw new Refused("This token is not valid, or has ended. Enter another one.");
    return { token };
  };
}

/** With a server key the page gets one token after the other: together they may spend `left` credits. */
function keyAccess(key, left, fetch) {
  const headers = { Authorization: `Bearer ${key}`, "Content-Type": "application/json" };
  let last;

  async function call(method, path, body) {
    const response = await fetch(`${base}/v1/tokens${path}`, { method, headers, body: body && JSON.stringify(body) });
    const answer = await response.json().catch(() => ({}));
    if (response.status >= 500 || response.status === 429) throw new TypeError(`HTTP ${response.status}`);
    if (response.status === 401) throw new Refused("This is neither a token nor a key of this service.");
    if (!response.ok) throw new Refused(answer.detail ?? `The service answered with HTTP ${response.status}.`);
    return answer;
  }

  return async () => {
    if (last) {
      await call("DELETE", `/${last}`); // it must not spend on beside the next one
      left = (await call("GET", `/${last}`)).left;
      if (left <= 0) throw new Refused("The credits that this page may spend are used up. Enter the key again to allow more.");
    }
    const issued = await call("POST", "", { owner: OWNER, max_credits: left });
    last = issued.token_id;
    return issued;
  };
}
