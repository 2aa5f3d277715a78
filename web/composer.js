import { credits, moment, refusal } from "./format.js";
import { chip, createField, fieldNames } from "./fields.js";
import { createPrice } from "./price.js";
import { createReferences } from "./references.js";
import { readJson } from "./storage.js";

const SETTINGS = "imagetasks:settings";
const DRAFT = "imagetasks:draft";
const HINT_MS = 5_000;
const USUAL = "gpt-image-2";

/**
 * The form of a new image: prompt, references, the fields of the chosen model, the price before the order.
 * `onOrder({ model, input, maxCredits })` gets the order. `settings` remembers the last choice, `drafts` what is
 * not ordered yet.
 */
export function createComposer({ client, form, settings, drafts, previewOf, onOrder, onBudget }) {
  const prompt = form.elements.prompt;
  const part = (selector) => form.querySelector(selector);
  const [strip, warnings, notice, make, files] = [".settings", ".warnings", ".notice", ".make", "input[type=file]"].map(part);
  const references = createReferences({ client, strip: part(".references"), previewOf, onChange: changed, onError: say });
  const price = createPrice({ client, output: part(".price"), onQuote: showQuote, onRefused: (error) => showErrors(error.errors) });
  const model = document.createElement("select");
  let models = [], fields = [], chosen, ordering = false;

  function say(text) {
    notice.textContent = text;
    notice.hidden = !text;
  }

  /** Says something that needs no answer, for a while. */
  function hint(text) {
    say(text);
    setTimeout(() => notice.textContent === text && say(""), HINT_MS);
  }

  function order() {
    const given = Object.fromEntries(fields.map(({ name, value }) => [name, value()]).filter(([, value]) => value !== undefined));
    const urls = references.addresses();
    return { model: chosen.model_id, input: { prompt: prompt.value.trim(), ...given, ...(urls.length && { image_urls: urls }) } };
  }

  const lacksReference = () => chosen.input_schema.required?.includes("image_urls") && !references.count();

  function showModel(modelId, input = {}) {
    chosen = [modelId, USUAL].map((id) => models.find((each) => each.model_id === id)).find(Boolean) ?? models[0];
    model.value = chosen.model_id;
    const { properties, required = [] } = chosen.input_schema;
    fields = fieldNames(chosen.input_schema).map((name) => createField(name, properties[name], required.includes(name), input[name]));
    while (strip.children.length > 1) strip.lastChild.remove(); // the list of models keeps the focus
    strip.append(...fields.map(({ element }) => element));
    references.most = properties.image_urls ? (properties.image_urls.maxItems ?? Infinity) : 0;
    part("[data-action=add-reference]").hidden = !properties.image_urls;
    changed();
  }

  function changed() {
    if (!chosen) return;
    drafts.setItem(DRAFT, JSON.stringify(order()));
    showErrors([]);
    if (lacksReference()) price.say("needs a reference image");
    else if (!references.uploading()) price.ask(order());
  }

  function showQuote({ credits: cost, budget, paused, warnings: notes }) {
    warnings.replaceChildren(...notes.map(({ detail }) => Object.assign(document.createElement("li"), { textContent: detail })));
    onBudget(budget, cost);
    const short = budget && !budget.allowed;
    const reset = short && budget.resets_at ? `, more ${moment(budget.resets_at)}` : "";
    make.textContent = paused ? "Orders are paused" : short ? `${credits(Math.max(0, cost - budget.left))} missing${reset}` : "Make";
    make.ariaDisabled = paused || short ? "true" : null;
  }

  /** Each error at its field, the others above the prompt. */
  function showErrors(errors) {
    for (const place of form.querySelectorAll("[data-error]")) Object.assign(place, { hidden: true, textContent: "" });
    const elsewhere = [];
    for (const { pointer = "", detail } of [...errors, ...lengthErrors()]) {
      const place = form.querySelector(`[data-error="${CSS.escape(pointer.split("/")[2] ?? "")}"]`);
      if (place) Object.assign(place, { hidden: false, textContent: detail });
      else elsewhere.push(detail);
    }
    if (elsewhere.length) say(elsewhere.join(" "));
  }

  function lengthErrors() {
    const most = chosen.input_schema.properties.prompt?.maxLength ?? Infinity;
    const over = [...prompt.value.trim()].length - most;
    return over > 0 ? [{ pointer: "/input/prompt", detail: `${over} of ${most + over} characters are too many for this model.` }] : [];
  }

  /** What has to be done before the order can be sent; empty if nothing. */
  function obstacle() {
    if (references.uploading()) return "A reference is still being uploaded.";
    return lacksReference() ? "This model changes an image: add a reference first." : "";
  }

  async function send() {
    const wanted = order();
    if (!wanted.input.prompt) showErrors([{ pointer: "/input/prompt", detail: "Write what the image should show." }]);
    if (!wanted.input.prompt || lengthErrors().length) return prompt.focus();
    if (obstacle()) return say(obstacle());
    const { quote, refused } = await price.of(wanted);
    if (refused) return say(refusal(refused));
    if (make.ariaDisabled) return;
    say("");
    settings.setItem(SETTINGS, JSON.stringify({ ...wanted, input: { ...wanted.input, prompt: undefined, image_urls: undefined } }));
    if (prompt.value.trim() === wanted.input.prompt) write("");
    onOrder({ ...wanted, maxCredits: quote?.credits });
  }

  function write(text) {
    prompt.value = text;
    prompt.dispatchEvent(new Event("input", { bubbles: true }));
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (make.ariaDisabled || !chosen || ordering) return;
    ordering = true; // a second click before the price is known orders nothing
    form.ariaBusy = "true";
    await send();
    form.ariaBusy = null;
    ordering = false;
  });
  form.addEventListener("input", changed);
  form.addEventListener("change", changed);
  model.addEventListener("change", () => showModel(model.value, order().input));
  prompt.addEventListener("input", () => {
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
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    form.classList.toggle("dropping", event.dataTransfer.types.includes("Files"));
  });
  for (const end of ["dragleave", "drop"]) document.addEventListener(end, () => form.classList.remove("dropping"));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    references.addFiles(event.dataTransfer.files);
  });

  function fill({ model: modelId, input }) {
    references.set(input.image_urls ?? []);
    showModel(modelId, input);
    write(input.prompt ?? "");
  }

  return {
    say,
    hint,
    write,
    fill,
    references,
    focus: () => prompt.focus(),
    /** Shows why an order was not taken, and gives it back unless something else has been written. */
    refuse(error, refused) {
      if (!prompt.value) fill(refused);
      say(refusal(error));
      showErrors(error.errors ?? []);
    },
    start(offered) {
      models = offered;
      for (const each of models) model.add(new Option(each.title, each.model_id));
      strip.replaceChildren(chip("model", model));
      const last = readJson(settings, SETTINGS);
      fill(readJson(drafts, DRAFT) ?? { model: last?.model, input: last?.input ?? {} });
    },
    refreshPrice: () => chosen && !obstacle() && price.ask(order(), { again: true }),
  };
}
