import { createClient } from "./client/index.js";

/** Where the API is: where this page is. */
export const base = new URL(".", location.href).href.replace(/\/$/, "");

const KEY = /^it_sk_/;
const OWNER = "playground";

/**
 * The client of this page. Its tokens come from the local system, or from a token or server key that the user
 * enters: these stay in this closure, so that they end with the page.
 */
export function createSession({ askAccess }) {
  let access; // `() => Promise<issued token>` once the user has given something
  let local = true;

  async function issue() {
    if (local) {
      const response = await fetch("page/token", { method: "POST" });
      if (response.ok) return response.json();
      if (response.status !== 404) throw new TypeError(`no token: HTTP ${response.status}`);
      local = false;
    }
    access ??= await entered();
    try {
      return await access();
    } catch (error) {
      access = undefined; // refused: ask again
      throw error;
    }
  }

  async function entered() {
    for (let problem = ""; ; ) {
      const { secret, maxCredits } = await askAccess(problem);
      const tokens = accessOf(secret.trim(), maxCredits);
      try {
        const first = await tokens();
        let unused = first;
        return async () => {
          const token = unused ?? (await tokens());
          unused = undefined;
          return token;
        };
      } catch (error) {
        problem = error.message;
      }
    }
  }

  const client = createClient({ baseUrl: base, authCallback: issue });
  return { client, ready: issue };
}

/** A server key gets a new token each time; a token is what it is. */
function accessOf(secret, maxCredits) {
  if (!KEY.test(secret) && secret.split(".").length === 3) return async () => ({ token: secret });
  return async () => {
    const response = await fetch(`${base}/v1/tokens`, {
      method: "POST",
      headers: { Authorization: `Bearer ${secret}`, "Content-Type": "application/json" },
      body: JSON.stringify({ owner: OWNER, max_credits: maxCredits }),
    });
    const body = await response.json().catch(() => ({}));
    if (!response.ok) throw new Error(body.detail ?? `no token: HTTP ${response.status}`);
    return body;
  };
}
