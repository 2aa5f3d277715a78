/** Controls for the fields of a model, made from its `input_schema`. */

const ELSEWHERE = new Set(["prompt", "image_urls", "mask_url", "elements"]);
const FIRST = ["size", "aspect_ratio", "resolution", "quality", "background", "output_format", "n"];
const CUSTOM = "custom";
const words = (name) => name.replaceAll("_", " ");

/** The names of the fields in the order in which they are shown. */
export function fieldNames(schema) {
  const names = Object.keys(schema.properties).filter((name) => !ELSEWHERE.has(name));
  const rank = (name) => (FIRST.includes(name) ? FIRST.indexOf(name) : FIRST.length);
  return names.sort((one, other) => rank(one) - rank(other));
}

/** A labelled control; `value()` is what the order gets, undefined for the model's default. */
export function createField(name, schema, given) {
  const label = document.createElement("label");
  label.className = "chip";
  const title = document.createElement("span");
  title.textContent = words(name);
  const error = document.createElement("span");
  error.className = "field-error";
  error.dataset.error = name;
  error.hidden = true;
  const control = controlOf(name, schema, given);
  label.append(title, ...control.elements, error);
  return { name, element: label, value: control.value };
}

function controlOf(name, schema, given) {
  const choices = (schema.enum ?? schema.oneOf?.find((branch) => branch.enum)?.enum)?.filter((each) => each !== null);
  if (choices) return choice(schema, choices, given);
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
  input.placeholder = schema.default ?? "";
  input.value = given ?? "";
  return { elements: [input], value: () => (input.value === "" ? undefined : isNumber ? Number(input.value) : input.value) };
}

/** A list of values; where the schema takes others too, such as a size in pixels, a text beside it. */
function choice(schema, choices, given) {
  const select = document.createElement("select");
  const open = Boolean(schema.oneOf?.some((branch) => branch.pattern));
  const listed = given === undefined || choices.includes(given);
  const initial = listed ? (given ?? schema.default ?? "") : CUSTOM;
  if (schema.default === undefined) select.add(new Option("default", "", true));
  for (const each of choices) select.add(new Option(String(each), String(each), false, each === initial));
  if (!open) return { elements: [select], value: () => valueOf(select.value, choices, schema) };
  select.add(new Option("pixels…", CUSTOM, false, initial === CUSTOM));
  const text = document.createElement("input");
  Object.assign(text, { type: "text", placeholder: "2048x1536", value: listed ? "" : given, hidden: listed, size: 9 });
  text.setAttribute("aria-label", "width x height in pixels");
  select.addEventListener("change", () => {
    text.hidden = select.value !== CUSTOM;
    if (!text.hidden) text.focus();
  });
  const value = () => (select.value === CUSTOM ? text.value.trim().replace("×", "x") || undefined : valueOf(select.value, choices, schema));
  return { elements: [select, text], value };
}

function valueOf(text, choices, schema) {
  const chosen = choices.find((each) => String(each) === text);
  return chosen === schema.default ? undefined : chosen;
}
