import { credits, duration, money } from "./format.js";

const AFTER_MS = 300; // of the last change of a setting
const WAIT_MS = 5_000; // for the price of an order that is being sent
const UNWRITTEN = "an image"; // stands for a prompt that is not written yet; the price does not depend on it

/**
 * The price of what is in the form, read again when a setting changes. `onQuote(quote)` gets each answer,
 * `onRefused(error)` why there is none.
 */
export function createPrice({ client, output, onQuote, onRefused }) {
  let current, quote, refused, timer, asked;
  const keyOf = ({ model, input }) => JSON.stringify([model, { ...input, prompt: undefined }]);

  function say(text, stale = false) {
    output.textContent = text;
    output.classList.toggle("stale", stale);
  }

  async function read({ model, input }, options) {
    clearTimeout(timer);
    asked?.abort();
    asked = new AbortController();
    const { signal } = asked;
    try {
      quote = await client.quote(model, { ...input, prompt: input.prompt || UNWRITTEN }, { ...options, abortSignal: signal });
      refused = undefined;
      say(textOf(quote));
      onQuote(quote);
    } catch (error) {
      if (signal.aborted) return;
      quote = undefined;
      refused = error.retry === "never" ? error : undefined;
      say("");
      if (refused) onRefused(refused);
    }
  }

  return {
    say(text) {
      current = undefined;
      clearTimeout(timer);
      asked?.abort();
      say(text);
    },
    /** Reads the price of an order soon, if it may have changed. */
    ask(order, { again = false } = {}) {
      const key = keyOf(order);
      if (key === current && !again) return;
      if (key !== current) quote = undefined;
      current = key;
      say(output.textContent, true);
      clearTimeout(timer);
      timer = setTimeout(read, AFTER_MS, order);
    },
    /** The quote of an order that is about to be sent, or why it would be refused; neither if nobody answers. */
    async of(order) {
      if ((!quote || keyOf(order) !== current) && navigator.onLine) await read(order, { timeout: WAIT_MS });
      current = keyOf(order);
      return { quote, refused };
    },
  };
}

function textOf({ credits: cost, exact, usd, typical_seconds }) {
  const parts = [`${exact ? "" : "up to "}${credits(cost)}`, money(usd ?? cost * 0.005)];
  if (typical_seconds) parts.push(`~${duration(typical_seconds)}`);
  return parts.join(" · ");
}
