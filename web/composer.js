import { credits, duration, money, refusal } from "./format.js";
import { createField, fieldNames } from "./fields.js";
import { createReferences } from "./references.js";

const SETTINGS = "imagetasks:settings";
const QUOTE_AFTER_MS = 300;
const USUAL = "gpt-image-2";
const UNWRITTEN = "…"; // stands for a prompt in a quote; the price does not depend on it

/**
 * The form of a new image: prompt, references, the fields of the chosen model, the price before the order.
 * `onOrder({ model, input, maxCredits })` gets the order.
 */
export function createComposer({ client, form, onOrder, onBudget }) {
  const prompt = form.elements.prompt;
  const part = (selector) => form.querySelector(selector);
  const [settings, price, warnings, notice, make, files] = [".settings", ".price", ".warnings", ".notice", ".make", "input[type=file]"].map(part);
  const references = createReferences({ client, strip: part(".references"), onChange: quoteSoon, onError: (error) => say(refusal(error)) });
  let models = [], fields = [], chosen, quote, timer, asked, missing;

  function say(text) {
    notice.textContent = text;
    notice.hidden = !text;
  }

  const inputOf = () => {
    const given = Object.fromEntries(fields.map(({ name, value }) => [name, value()]).filter(([, value]) => value !== undefined));
    const urls = references.addresses();
    return { prompt: prompt.value.trim(), ...given, ...(urls.length && { image_urls: urls }) };
  };

  function showModel(modelId, input = {}) {
    chosen = [modelId, USUAL].map((id) => models.find((each) => each.model_id === id)).find(Boolean) ?? models[0];
    const { input_schema } = chosen;
    const select = document.createElement("select");
    for (const each of models) select.add(new Option(each.title, each.model_id, false, each === chosen));
    select.addEventListener("change", () => showModel(select.value, inputOf()));
    const label = document.createElement("label");
    const title = document.createElement("span");
    label.className = "chip";
    title.textContent = "model";
    label.append(title, select);
    const names = fieldNames(input_schema);
    fields = names.map((name) => createField(name, input_schema.properties[name], input[name]));
    settings.replaceChildren(label, ...fields.map(({ element }) => element));
    prompt.maxLength = input_schema.properties.prompt?.maxLength ?? -1;
    const most = input_schema.properties.image_urls?.maxItems ?? (input_schema.properties.image_urls ? 16 : 0);
    part("[data-action=add-reference]").hidden = !most;
    quoteSoon();
  }

  function quoteSoon() {
    clearTimeout(timer);
    timer = setTimeout(readQuote, QUOTE_AFTER_MS);
  }

  async function readQuote() {
    asked?.abort();
    asked = new AbortController();
    const { signal } = asked;
    if (!chosen || references.uploading()) return;
    missing = chosen.input_schema.required?.includes("image_urls") && !references.count();
    if (missing) {
      quote = undefined;
      price.textContent = "needs a reference image";
      return;
    }
    try {
      const input = inputOf();
      const found = await client.quote(chosen.model_id, { ...input, prompt: input.prompt || UNWRITTEN }, { abortSignal: signal });
      quote = found;
      showErrors([]);
      showQuote(found);
    } catch (error) {
      if (signal.aborted) return;
      quote = undefined;
      price.textContent = "";
      showErrors(error.errors ?? []);
    }
  }

  function showQuote({ credits: cost, exact, usd, typical_seconds, budget, paused, warnings: notes }) {
    const parts = [`${exact ? "" : "up to "}${credits(cost)}`, money(usd ?? cost * 0.005)];
    if (typical_seconds) parts.push(`~${duration(typical_seconds)}`);
    price.textContent = parts.join(" · ");
    warnings.replaceChildren(...notes.map(({ detail }) => Object.assign(document.createElement("li"), { textContent: detail })));
    onBudget(budget);
    const reason = paused ? "New orders are paused." : budget && !budget.allowed ? refusal({ code: "budget_exhausted", problem: budget }) : "";
    make.disabled = Boolean(reason);
    if (reason) say(reason);
    else if (make.title) say("");
    make.title = reason;
  }

  /** Each error at its field, the others above the prompt. */
  function showErrors(errors) {
    for (const place of form.querySelectorAll("[data-error]")) {
      place.hidden = true;
      place.textContent = "";
    }
    const elsewhere = [];
    for (const { pointer = "", detail } of errors) {
      const name = pointer.split("/")[2] ?? "";
      if (name === "prompt" && !prompt.value.trim()) continue; // not written yet
      const place = form.querySelector(`[data-error="${CSS.escape(name)}"]`);
      if (place) Object.assign(place, { hidden: false, textContent: detail });
      else elsewhere.push(detail);
    }
    if (elsewhere.length) say(elsewhere.join(" "));
  }

  async function order() {
    const input = inputOf();
    if (!input.prompt) {
      Object.assign(form.querySelector("[data-error=prompt]"), { hidden: false, textContent: "Write what the image should show." });
      prompt.focus();
      return;
    }
    if (references.uploading()) return say("A reference is still being uploaded.");
    if (missing) return say("This model changes an image: add a reference first.");
    say("");
    localStorage.setItem(SETTINGS, JSON.stringify({ model: chosen.model_id, input: { ...input, prompt: undefined, image_urls: undefined } }));
    prompt.value = "";
    prompt.dispatchEvent(new Event("input"));
    await onOrder({ model: chosen.model_id, input, maxCredits: quote?.credits });
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!make.disabled && chosen) order();
  });
  form.addEventListener("input", quoteSoon);
  form.addEventListener("change", quoteSoon);
  prompt.addEventListener("input", () => {
    form.querySelector("[data-error=prompt]").hidden = true;
    prompt.style.height = "auto";
    prompt.style.height = `${prompt.scrollHeight}px`;
  });
  prompt.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
  part("[data-action=add-reference]").addEventListener("click", () => files.click());
  files.addEventListener("change", () => {
    references.addFiles(files.files);
    files.value = "";
  });
  document.addEventListener("paste", ({ clipboardData }) => references.addFiles(clipboardData.files));
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    references.addFiles(event.dataTransfer.files);
  });

  return {
    say,
    showErrors,
    references,
    focus: () => prompt.focus(),
    /** Fill the form with an order, for instance an earlier one. */
    fill({ model, input }, previews = []) {
      prompt.value = input.prompt ?? "";
      prompt.dispatchEvent(new Event("input"));
      references.set((input.image_urls ?? []).map((address, n) => ({ address, preview: previews[n] ?? previewOf(address) })));
      showModel(model, input);
      prompt.focus();
    },
    write(text) {
      prompt.value = text;
      prompt.dispatchEvent(new Event("input"));
      prompt.focus();
    },
    start(offered) {
      models = offered;
      const last = JSON.parse(localStorage.getItem(SETTINGS) ?? "null");
      showModel(last?.model, last?.input);
    },
    refreshPrice: quoteSoon,
  };
}

/** An address that the page may show; uploads cannot be shown any more. */
const previewOf = (address) => (address.startsWith(location.origin) ? address : "page/icon.svg");
