/** An error response, or no response: then `status` is 0 and `code` "network_error". */
export class ApiError extends Error {
  constructor(problem, options) {
    super(problem.detail || problem.code, options);
    this.name = new.target.name;
    this.status = problem.status;
    this.code = problem.code;
    this.retry = problem.retry;
    this.charged = problem.charged ?? null;
    this.errors = problem.errors ?? [];
    this.requestId = problem.request_id;
    this.taskId = problem.task_id;
    this.retryAfter = problem.retryAfter;
    this.problem = problem;
  }
}

/** The request names wrong fields: `fieldErrors` has their texts by JSON pointer or query parameter. */
export class ValidationError extends ApiError {
  constructor(problem, options) {
    super(problem, options);
    this.fieldErrors = {};
    for (const { pointer, parameter, detail } of this.errors) {
      (this.fieldErrors[pointer ?? parameter] ??= []).push(detail);
    }
  }
}

/** The task has ended without an image; `task.error` says why, and whether it was charged. */
export class TaskFailedError extends Error {
  constructor(task) {
    super(task.error?.message ?? "The task failed.");
    this.name = "TaskFailedError";
    this.task = task;
    this.taskId = task.task_id;
  }
}

/** The client stopped waiting. The task goes on: `attach(taskId)`, or send the same order under `idempotencyKey`. */
export class TimeoutError extends Error {
  constructor({ taskId, idempotencyKey }, cause) {
    super("The client's timeout is over; the task, if there is one, goes on.", { cause });
    this.name = "TimeoutError";
    this.taskId = taskId;
    this.idempotencyKey = idempotencyKey;
  }
}

/** No response came, or only a part of one. The server may have acted on the request. */
export function networkError(detail, cause) {
  const problem = { status: 0, code: "network_error", retry: "same_key", detail };
  return new ApiError(problem, { cause });
}

/**
 * The error that a response stands for. `body` is its parsed JSON or undefined. Without a problem of the
 * service in it, as from a gateway, only a 408, 429 or 5xx may be repeated.
 */
export function errorOf(status, headers, body) {
  const retryAfter = seconds(headers.get("Retry-After"));
  if (typeof body?.code !== "string") {
    const retry = passes(status) ? "same_key" : "never";
    const detail = `HTTP ${status} without a problem of the service`;
    return new ApiError({ status, code: `http_${status}`, retry, detail, retryAfter });
  }
  const problem = { ...body, status, retryAfter };
  return body.errors?.length ? new ValidationError(problem) : new ApiError(problem);
}

/**
 * Whether the same request may succeed soon. `patient` also counts a problem that the operator has to solve
 * first, which has no `Retry-After`: a running task is worth waiting for.
 */
export function isTransient(error, patient) {
  if (!(error instanceof ApiError) || error.retry !== "same_key") return false;
  const operator = error.problem.request_id && error.retryAfter === undefined;
  return passes(error.status) && (patient || !operator);
}

function passes(status) {
  return status < 400 || status === 408 || status === 429 || status >= 500;
}

/** `Retry-After` in seconds, which may be a date; undefined if it is absent or unreadable. */
export function seconds(value) {
  if (!value) return undefined;
  const given = /^\d+$/.test(value) ? Number(value) : (Date.parse(value) - Date.now()) / 1000;
  return Number.isFinite(given) ? Math.max(0, given) : undefined;
}
