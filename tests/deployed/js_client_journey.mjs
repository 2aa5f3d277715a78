// What test_js_client.py runs in Node: the client with browser tokens of its own route, against the deployed stack.
// Reads {url, key, owner, image} as JSON from its input, where `image` is base64; writes what it found.
import { text } from "node:stream/consumers";
import { createClient } from "../../clients/js/src/index.js";
import { createTokenRoute } from "../../clients/js/src/server.js";

const { url, key, owner, image } = JSON.parse(await text(process.stdin));
const route = createTokenRoute({ owner: async () => owner, maxCredits: 50, baseUrl: url, key });
let issued = 0;
const client = createClient({
  baseUrl: url,
  authCallback: async () => {
    issued += 1;
    return (await route.POST(new Request(`${url}/token`, { method: "POST" }))).json();
  },
});

const input = { prompt: "The same boat, in snow", image_urls: [new Blob([Buffer.from(image, "base64")])] };
const quote = await client.quote("gpt-image-2-edit", input);
const updates = [];
const enqueued = [];
const edit = await client.subscribe("gpt-image-2-edit", {
  input,
  onUpdate: ({ status }) => updates.push(status),
  onEnqueue: (...ids) => enqueued.push(ids),
});

const order = { input: { prompt: "A paper boat" }, idempotencyKey: "journey-1" };
const ordered = await Promise.all([
  client.submit("gpt-image-2", order),
  client.submit("gpt-image-2", order),
  client.submit("gpt-image-2", { input: { prompt: "[[fault:fail-moderation]] A paper boat" } }),
]);
const last = {};
const missing = [];
const ids = [...ordered.map((each) => each.task_id), "a".repeat(26)];
for await (const each of client.tasks.watch(ids, { onMissing: (id) => missing.push(id) })) last[each.task_id] = each.status;

const invalid = await client.submit("gpt-image-2", { input: { prompt: "x", size: "huge" } }).catch((error) => error);
const failed = await client.attach(ordered[2].task_id).catch((error) => error);
const listed = [];
for await (const each of client.tasks.iterate({ limit: 2 })) listed.push(each.task_id);
await client.tasks.delete(ordered[0].task_id);
const deleted = await client.attach(ordered[0].task_id).catch((error) => error);
const usage = await client.usage();

console.log(
  JSON.stringify({
    issued,
    quote: quote.credits,
    updates,
    enqueued,
    edit: { task_id: edit.task_id, status: edit.status, image: edit.files[0].file_url, input: edit.input },
    ordered: ordered.map((each) => each.task_id),
    last,
    missing,
    invalid: [invalid.name, Object.keys(invalid.fieldErrors)],
    failed: [failed.name, failed.task.error.code],
    listed,
    deleted: [deleted.name, deleted.code, deleted.taskId],
    used: usage.totals.tasks,
  }),
);
