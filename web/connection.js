import { learnTime } from "./clock.js";
import { refusal } from "./format.js";

const SLOW_MS = 4_000;
const AGAIN_MS = 10_000;

/**
 * Tells in one line whether the service is reached, and how many orders wait for it (`waiting()`). While it is not
 * reached, or orders wait, `onRetry` is called again and again, whether it fails or not. `fetch` is watched.
 */
export function createConnection({ line, waiting, onRetry }) {
  let slow = 0, lost = false, failure, retrying = false, reason = "";

  function state() {
    if (!navigator.onLine) return "You are offline.";
    if (!lost && failure?.status) return `${refusal(failure)} This page tries again.`;
    if (lost || failure) return "The service cannot be reached; this page tries again.";
    return reason || (slow ? "The connection is slow." : "");
  }

  function show() {
    const count = waiting();
    if (!count) reason = "";
    const orders = count === 1 ? "One order waits and will be sent by itself." : `${count} orders wait and will be sent by themselves.`;
    const text = [state(), count && state() ? orders : ""].filter(Boolean).join(" ");
    if (line.textContent !== text) line.textContent = text;
    line.hidden = !text;
  }

  async function watched(url, options = {}) {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      slow += 1;
      show();
    }, SLOW_MS);
    try {
      const response = await fetch(url, options);
      learnTime(response);
      lost = false;
      return response;
    } catch (error) {
      if (!options.signal?.aborted) lost = true;
      throw error;
    } finally {
      clearTimeout(timer);
      if (late) slow -= 1;
      show();
    }
  }

  async function retry() {
    if (retrying) return;
    retrying = true;
    failure = await onRetry().then(() => undefined, (error) => error);
    retrying = false;
    show();
  }

  addEventListener("online", () => {
    show();
    retry();
  });
  addEventListener("offline", show);
  setInterval(() => navigator.onLine && (lost || failure || waiting()) && retry(), AGAIN_MS);

  return {
    show,
    retry,
    fetch: watched,
    /** Says why orders wait although the service is reached. */
    explain(text) {
      reason = text;
      show();
    },
  };
}
