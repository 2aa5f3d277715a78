/** Controls for the fields of a model, made from its `input_schema`. */

const ELSEWHERE = new Set(["prompt", "image_urls", "mask_url", "elements"]);
const FIRST = ["size", "aspect_ratio", "resolution", "quality", "background", "output_format", "n"];
const CUSTOM = "custom";
const PIXELS = "1024x1024"; // where a model takes nothing but a size in pixels, and has no default
const words = (name) => name.replaceAll("_", " ");

/** The names of the fields in the order in which they are shown. */
export function fieldNames(schema) {
  const names = Object.keys(schema.properties).filter((name) => !ELSEWHERE.has(name));
  const rank = (name) => (FIRST.includes(name) ? FIRST.indexOf(name) : FIRST.length);
  return names.sort((one, other) => rank(one) - rank(other));
}

/** A label with its controls, as a chip. */
export function chip(title, ...elements) {
  const label = document.createElement("label");
  label.className = "chip";
  label.append(Object.assign(document.createElement("span"), { textContent: title }), ...elements);
  return label;
}

/** A labelled control; `value()` is what the order gets, undefined for the model's default. */
export function createField(name, schema, required, given) {
  const error = Object.assign(document.createElement("span"), { className: "field-error", hidden: true });
  error.dataset.error = name;
  const control = controlOf(name, schema, required, given ?? undefined);
  return { name, element: chip(words(name), ...control.elements, error), value: control.value };
}

function controlOf(name, schema, required, given) {
  const choices = (schema.enum ?? schema.oneOf?.find((branch) => branch.enum)?.enum)?.filter((each) => each !== null);
  if (choices) return choice(schema, choices, required, given);
  const types = [schema.type].flat();
  const input = document.createElement("input");
  input.name = name;
  if (types.includes("boolean")) {
    input.type = "checkbox";
    input.checked = given ?? schema.default ?? false;
    return { elements: [input], value: () => (input.checked === (schema.default ?? false) ? undefined : input.checked) };
  }
  const isNumber = types.includes("integer") || types.includes("number");
  input.type = isNumber ? "number" : "text";
  if (isNumber) Object.assign(input, { min: schema.minimum ?? "", max: schema.maximum ?? "", step: types.includes("integer") ? 1 : "any" });
  const fits = !schema.pattern || new RegExp(schema.pattern).test(given);
  input.placeholder = schema.default ?? "none";
  input.value = (fits ? given : undefined) ?? (schema.pattern && required ? PIXELS : "");
  return { elements: [input], value: () => (input.value === "" ? undefined : isNumber ? Number(input.value) : input.value) };
}

/** A list of values; where the schema takes others too, such as a size in pixels, a text beside it. */
function choice(schema, choices, required, given) {
  const select = document.createElement("select");
  const pixels = [schema, ...(schema.oneOf ?? [])].some((branch) => branch.pattern);
  const custom = pixels && given !== undefined && !choices.includes(given);
  const initial = custom ? CUSTOM : choices.includes(given) ? given : schema.default;
  if (schema.default === undefined && !required) select.add(new Option("default", "", true));
  for (const each of choices) select.add(new Option(String(each), String(each), false, each === initial));
  const chosen = () => {
    const value = choices.find((each) => String(each) === select.value);
    return value === schema.default && !required ? undefined : value;
  };
  if (!pixels) return { elements: [select], value: chosen };
  select.add(new Option("pixels…", CUSTOM, false, custom));
  const text = document.createElement("input");
  Object.assign(text, { type: "text", placeholder: "2048x1536", value: custom ? given : "", hidden: !custom });
  text.setAttribute("aria-label", "width x height in pixels");
  select.addEventListener("change", () => {
    text.hidden = select.value !== CUSTOM;
    if (!text.hidden) text.focus();
  });
  const value = () => (select.value === CUSTOM ? text.value.trim().replace("×", "x") || undefined : chosen());
  return { elements: [select, text], value };
}
