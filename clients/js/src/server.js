const ISSUE_MS = 10_000;

/**
 * The route that gives a page its browser tokens: `{ POST }`, from a Web Request to a Response.
 * A request whose `owner` is null or empty gets 401. The server key stays in this process.
 */
export function createTokenRoute({ owner, baseUrl, key, fetch = globalThis.fetch, ...options }) {
  const { maxCredits, ttl, maxTasks, models, origin, scopes } = options;
  const limits = { max_credits: maxCredits, ttl_s: ttl, max_tasks: maxTasks, models, origin, scopes };

  async function POST(request) {
    const user = await owner(request);
    if (!user) return problem(401, "unauthorized", "Log in first.");
    // Read here and not when the module is loaded, because a build has no keys.
    const root = (baseUrl ?? required("IMAGETASKS_URL")).replace(/\/+$/, "");
    const headers = {
      Authorization: `Bearer ${key ?? required("IMAGETASKS_KEY")}`,
      "Content-Type": "application/json",
    };
    const body = JSON.stringify({ owner: user, ...limits });
    try {
      const signal = AbortSignal.timeout(ISSUE_MS);
      const sent = { method: "POST", headers, body, signal, cache: "no-store" };
      const response = await fetch(`${root}/v1/tokens`, sent);
      const issued = await response.json();
      if (response.ok) return answer(200, issued);
      console.error(`imagetasks: no token, ${response.status} ${issued.code}: ${issued.detail}`);
    } catch (error) {
      console.error(`imagetasks: no token, ${error}`);
    }
    return problem(502, "token_unavailable", "No token could be issued.");
  }

  return { POST };
}

function answer(status, content, type = "application/json") {
  return new Response(JSON.stringify(content), {
    status,
    headers: { "Content-Type": type, "Cache-Control": "no-store" },
  });
}

function problem(status, code, detail) {
  const retry = status === 401 ? "never" : "same_key";
  return answer(status, { status, code, detail, retry, charged: false }, "application/problem+json");
}

function required(name) {
  const value = globalThis.process?.env?.[name];
  if (!value) throw new Error(`${name} is not set`);
  return value;
}
