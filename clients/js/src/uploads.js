import { errorOf, ValidationError } from "./errors.js";
import { received } from "./transport.js";

const UPLOAD_MS = 600_000; // a presigned form is valid for ten minutes
const REUSE_MS = 3_600_000; // an upload is deleted after a day

/** Sends files to the bucket. The same Blob is sent once, so that a repeated order names the same upload. */
export function createStorage({ attempt, repeat, within }, fetch) {
  const known = new WeakMap();

  async function upload(blob, options = {}) {
    const content_type = await typeOf(blob);
    // A new form for each attempt: a form takes one file, and it may have taken the lost one.
    const send = async (signal) => {
      const { body } = await attempt("POST", "/v1/uploads", { body: { content_type }, signal });
      if (blob.size > body.max_bytes) throw tooLarge(blob.size, body.max_bytes);
      await sendForm(fetch, body.upload, blob, signal);
      return body.file_url;
    };
    const limits = { ...options, timeout: options.timeout ?? UPLOAD_MS };
    return within(limits, {}, (deadline) => repeat(send, deadline));
  }

  async function addressOf(value, options) {
    if (!(value instanceof Blob)) return value;
    const earlier = known.get(value);
    if (earlier && Date.now() < earlier.until) return earlier.address;
    const address = await upload(value, options);
    known.set(value, { address, until: Date.now() + REUSE_MS });
    return address;
  }

  /** The input of an order with an `upload://` address in place of each Blob and File. */
  async function uploaded(input, { deadline, abortSignal, timeout } = {}) {
    const options = { deadline, abortSignal, timeout };
    const entries = Object.entries(input).map(async ([name, value]) => {
      if (!Array.isArray(value)) return [name, await addressOf(value, options)];
      return [name, await Promise.all(value.map((each) => addressOf(each, options)))];
    });
    return Object.fromEntries(await Promise.all(entries));
  }

  return { upload, uploaded };
}

async function sendForm(fetch, { method, url, fields }, blob, signal) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  form.append("file", blob); // S3 ignores the fields after the file
  const answer = await received(() => fetch(url, { method, body: form, signal })).catch((error) => {
    throw signal.aborted ? signal.reason : error;
  });
  if (answer.status > 299) throw errorOf(answer.status, answer.headers);
}

/** The type that the first bytes show, because a file's name and `type` may be wrong. */
async function typeOf(blob) {
  const bytes = new Uint8Array(await blob.slice(0, 12).arrayBuffer());
  const text = String.fromCharCode(...bytes);
  if (text.startsWith("\x89PNG")) return "image/png";
  if (text.startsWith("\xff\xd8\xff")) return "image/jpeg";
  if (text.startsWith("RIFF") && text.endsWith("WEBP")) return "image/webp";
  return blob.type || "application/octet-stream";
}

function tooLarge(size, most) {
  const detail = `The file has ${size} bytes; at most ${most} are allowed.`;
  const errors = [{ pointer: "/file", detail }];
  const problem = { status: 413, code: "file_too_large", retry: "never", charged: false };
  return new ValidationError({ ...problem, detail, errors });
}
