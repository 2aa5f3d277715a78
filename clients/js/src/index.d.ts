/** A client of an imagetasks deployment. Members of responses have the names of the API; see docs/api.md. */

export interface ClientOptions {
  /** The address of the deployment, such as `https://images.example`. */
  baseUrl: string;
  /** A server key, or a token that is never renewed. Never put a server key into a page. */
  credentials?: string;
  /** A route of your own server that issues browser tokens, such as one of `createTokenRoute`. It gets a POST. */
  authUrl?: string;
  /** Returns a token; called when one is needed, at 80 % of its life, and after a 401. */
  authCallback?: () => Promise<IssuedToken | string>;
  /** The user of yours that a server key acts for (`X-Owner`). */
  owner?: string;
  fetch?: typeof fetch;
  retry?: RetryOptions;
}

export interface IssuedToken {
  token: string;
  /** RFC 3339. */
  expires_at?: string;
}

/** All in milliseconds. */
export interface RetryOptions {
  /** Before the first repetition; it doubles each time. Default 500. */
  minDelay?: number;
  /** Default 20,000. */
  maxDelay?: number;
  /** How long a call is repeated where it has no `timeout` of its own. Default 60,000. */
  timeout?: number;
}

export interface CallOptions {
  /** Ends the call with the signal's reason. It never cancels a task. */
  abortSignal?: AbortSignal;
  /** Milliseconds until the call ends with a TimeoutError. It never cancels a task. */
  timeout?: number;
}

export type Status = "not_started" | "running" | "finished" | "failed";

/** An address, or a file, which is uploaded before the order is sent. */
export type ImageSource = string | Blob;

/** The fields of the model, as its `input_schema` in the catalog says. */
export interface TaskInput {
  prompt: string;
  image_urls?: ImageSource[] | null;
  mask_url?: ImageSource | null;
  [field: string]: unknown;
}

export interface TaskFile {
  file_url: string;
  file_type: string;
  content_type: string;
  width: number;
  height: number;
  bytes: number;
  sha256: string;
  expires_at: string | null;
}

export interface Warning {
  pointer: string;
  detail: string;
}

export interface Task {
  task_id: string;
  status: Status;
  /** 0 to 100; null until PoYo has named one. */
  progress: number | null;
  model: string;
  input: Record<string, unknown>;
  metadata: Record<string, string>;
  credits: { estimated: number; exact: boolean; charged: number | null };
  /** The same in dollars, from deployments that know PoYo's price. */
  usd?: { estimated: number; charged: number | null };
  /** How long such a task usually takes; null if that is unknown. */
  typical_seconds?: number | null;
  files: TaskFile[];
  error: { code: string; message: string; retry: "new_key" | "never"; charged: boolean | null } | null;
  warnings: Warning[];
  history: { event: string; at: string; [field: string]: unknown }[];
  created_at: string;
  updated_at: string;
  finished_at: string | null;
}

export interface TaskPage {
  tasks: Task[];
  next_cursor: string | null;
}

export interface Quote {
  model: string;
  credits: number;
  exact: boolean;
  usd?: number;
  typical_seconds?: number | null;
  billed_resolution: string | null;
  budget: { allowed: boolean; scope: string; left: number; resets_at: string | null } | null;
  paused: boolean;
  warnings: Warning[];
}

export interface UsageTotals {
  tasks: number;
  estimated: number;
  reserved: number;
  charged: number;
}

export interface Usage {
  from: string;
  to: string;
  rows: (UsageTotals & { day: string; owner: string | null; model: string })[];
  totals: UsageTotals;
  next_cursor: string | null;
}

export interface OrderOptions extends CallOptions {
  input: TaskInput;
  /** 1 to 255 printable ASCII characters without a comma; a random one if absent. The same on every repetition. */
  idempotencyKey?: string;
  metadata?: Record<string, string>;
  maxCredits?: number;
  callbackUrl?: string;
}

export interface WaitOptions extends CallOptions {
  /** Default 1,800,000; Infinity for none. */
  timeout?: number;
  /** Called with each state of the task that differs from the one before. */
  onUpdate?(task: Task): void;
  /** Hold requests open for up to 20 s instead of polling at `Retry-After`; the operator allows few at a time. */
  longPoll?: boolean;
}

export interface SubscribeOptions extends OrderOptions, WaitOptions {
  /** Called once the order is accepted. Store the id, and `attach` to it after a reload. */
  onEnqueue?(taskId: string, idempotencyKey: string): void;
}

export interface WatchOptions extends CallOptions {
  /** Default 1,800,000; Infinity for none. */
  timeout?: number;
  longPoll?: boolean;
  /** Called with an id that names no task of this user, any more. */
  onMissing?(taskId: string): void;
}

export interface ListOptions extends CallOptions {
  status?: Status;
  /** 1 to 100, the size of a page. */
  limit?: number;
  cursor?: string | null;
}

export interface Tasks {
  get(taskId: string, options?: CallOptions): Promise<Task>;
  list(options?: ListOptions): Promise<TaskPage>;
  delete(taskId: string, options?: CallOptions): Promise<void>;
  /** All tasks, newest first. */
  iterate(options?: ListOptions): AsyncGenerator<Task, void, void>;
  /** Each task now and whenever it changes, until all have ended; one request follows up to 100. */
  watch(taskIds: Iterable<string>, options?: WatchOptions): AsyncGenerator<Task, void, void>;
}

/** What an outbox needs of `localStorage`. */
export interface OutboxStorage {
  readonly length: number;
  key(index: number): string | null;
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
}

export interface StoredOrder {
  idempotencyKey: string;
  body: { model: string; input: Record<string, unknown>; [field: string]: unknown };
  /** Milliseconds since 1970. */
  createdAt: number;
}

export type ResumedOrder = { idempotencyKey: string } & (
  | { task: Task; error?: undefined }
  | { task?: undefined; error: unknown }
);

export interface Outbox {
  /** Stores the order, then sends it; it stays stored until it is answered. */
  send(order: OrderOptions & { model: string }): Promise<Task>;
  /** Sends the stored orders again, each under its key: what was accepted already is only found again. */
  resume(options?: CallOptions): Promise<ResumedOrder[]>;
  /** The orders without an answer, oldest first. */
  pending(): StoredOrder[];
  /** Forgets an order, which may have been accepted; no tab sends it again. */
  discard(idempotencyKey: string): void;
}

export interface Client {
  /** Orders an image and waits for it. Throws TaskFailedError, ApiError or TimeoutError. */
  subscribe(model: string, options: SubscribeOptions): Promise<Task>;
  /** Orders an image. */
  submit(model: string, options: OrderOptions): Promise<Task>;
  /** Waits for a task, for instance after a reload. Throws TaskFailedError, ApiError or TimeoutError. */
  attach(taskId: string, options?: WaitOptions): Promise<Task>;
  tasks: Tasks;
  storage: {
    /** Sends a PNG, JPEG or WebP; returns its `upload://` address, which is valid for a day. */
    upload(file: Blob, options?: CallOptions): Promise<string>;
  };
  /** What an order would cost; nothing is ordered. */
  quote(model: string, input: TaskInput, options?: CallOptions & { maxCredits?: number }): Promise<Quote>;
  /** `from` and `to` are days in UTC, both included. */
  usage(options?: CallOptions & { from?: string; to?: string; limit?: number; cursor?: string | null }): Promise<Usage>;
  /** `name` separates the orders of your users, who may share a browser: pass the user's id. */
  outbox(storage: OutboxStorage, options?: { name?: string }): Outbox;
}

export function createClient(options: ClientOptions): Client;

export interface FieldError {
  pointer?: string;
  parameter?: string;
  detail: string;
}

/** An error response. Without a response `status` is 0 and `code` "network_error", as the cause of a TimeoutError. */
export class ApiError extends Error {
  readonly status: number;
  /** The problem's code; without one `http_503` and the like, `invalid_response`, `network_error`, `another_user`, `settled_elsewhere`. */
  readonly code: string;
  readonly retry: "same_key" | "new_key" | "never";
  /** Whether the order was paid for; null if that is unknown. */
  readonly charged: boolean | null;
  readonly errors: FieldError[];
  readonly requestId?: string;
  readonly taskId?: string;
  /** Set where an order failed: send it again under this key if `retry` is `same_key`. */
  readonly idempotencyKey?: string;
  /** Seconds. */
  readonly retryAfter?: number;
  /** Every member of the response, such as `left` and `resets_at` of `budget_exhausted`. */
  readonly problem: Record<string, unknown>;
}

export class ValidationError extends ApiError {
  /** The texts by JSON pointer (`/input/size`) or by query parameter. */
  readonly fieldErrors: Record<string, string[]>;
}

export class TaskFailedError extends Error {
  readonly task: Task;
  readonly taskId: string;
}

/** The client stopped waiting; the task goes on. */
export class TimeoutError extends Error {
  /** Undefined while the order has no response: send it again under `idempotencyKey`. */
  readonly taskId?: string;
  readonly idempotencyKey?: string;
}
