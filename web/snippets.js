/** An order as a program that others can run; the key is a variable, never the one of this page. */

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

export function asCurl(base, { model, input }) {
  return [
    `curl ${quoted(`${base}/v1/tasks`)} \\`,
    `  -H "Authorization: Bearer $IMAGETASKS_KEY" \\`,
    `  -H "Idempotency-Key: $(uuidgen)" \\`,
    `  -H 'Content-Type: application/json' \\`,
    `  -d ${quoted(JSON.stringify({ model, input }))}`,
  ].join("\n");
}

export function asJavaScript(base, { model, input }) {
  return `import { createClient } from "imagetasks";

const client = createClient({ baseUrl: ${JSON.stringify(base)}, credentials: process.env.IMAGETASKS_KEY });
const task = await client.subscribe(${JSON.stringify(model)}, { input: ${JSON.stringify(input, null, 2)} });
console.log(task.files[0].file_url);`;
}

/** A JSON string is one of Python, too. */
export function asPython(base, { model, input }) {
  return `import json
import imagetasks_client

client = imagetasks_client.Client(${JSON.stringify(base)})  # the key is in IMAGETASKS_KEY
order = json.loads(${JSON.stringify(JSON.stringify(input))})
task = client.subscribe(${JSON.stringify(model)}, order)
print(client.save(task))`;
}
