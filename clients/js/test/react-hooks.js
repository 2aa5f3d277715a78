import { register } from "node:module";

// Resolves the optional peer `react` to a renderer of one component, which needs no DOM.
const stub = new URL("./react-stub.js", import.meta.url).href;
const resolve = `export const resolve = (name, context, next) =>
  name === "react" ? { url: ${JSON.stringify(stub)}, shortCircuit: true } : next(name, context);`;
register(`data:text/javascript,${encodeURIComponent(resolve)}`);
