import { pause } from "./deadline.js";
import { seconds, TaskFailedError } from "./errors.js";

export const WAIT_MS = 1_800_000; // an image takes one or two minutes as a rule, sometimes many more
const POLL_S = 5; // where a response has no Retry-After
const LONG_POLL_S = 20; // what the API allows
const LONG_POLL_PAUSE_S = 1; // a long poll may be answered at once
const IDS_PER_REQUEST = 100;

/** Whether nothing more will happen to the task, as a rule. */
function hasEnded(task) {
  return task.status === "finished" || task.status === "failed";
}

/** Reads, lists, deletes and follows tasks. */
export function createTasks({ attempt, call, deadlineOf, repeat, within }) {
  const pathOf = (id) => `/v1/tasks/${encodeURIComponent(id)}`;

  /** Waits until the task has ended. `known` is its latest response, if there is one. */
  async function follow(taskId, options = {}, known = undefined) {
    const { onUpdate, longPoll } = options;
    const wait = { ...options, timeout: options.timeout ?? WAIT_MS };
    const task = await within(wait, { taskId }, async (deadline) => {
      const read = createReader({ attempt, repeat, deadline, longPoll });
      let latest = known;
      while (!latest || !hasEnded(latest.body)) {
        if (latest) await pause(read.delay(latest), deadline.signal);
        latest = await read(0, pathOf(taskId), "?");
        if (latest.changed) onUpdate?.(latest.body);
      }
      return latest.body;
    });
    if (task.status === "failed") throw new TaskFailedError(task);
    return task;
  }

  async function* watch(taskIds, options = {}) {
    const open = new Set(taskIds);
    const shown = new Map();
    const deadline = deadlineOf({ ...options, timeout: options.timeout ?? WAIT_MS }, {});
    // Several long polls a round would wait for each other.
    const longPoll = options.longPoll && open.size <= IDS_PER_REQUEST;
    const read = createReader({ attempt, repeat, deadline, longPoll });
    try {
      while (open.size) {
        let delay = 0;
        const groups = inGroups([...open]);
        for (const [slot, group] of groups.entries()) {
          const response = await read(slot, `/v1/tasks?task_ids=${group.map(encodeURIComponent)}`, "&");
          const { tasks, not_found, remaining } = response.body;
          delay = Math.max(delay, read.delay(response));
          if (remaining.length && remaining.length < group.length) groups.push(remaining);
          for (const id of not_found) if (open.delete(id)) options.onMissing?.(id);
          for (const task of tasks) {
            if (hasEnded(task)) open.delete(task.task_id);
            const text = JSON.stringify(task);
            if (shown.get(task.task_id) === text) continue;
            shown.set(task.task_id, text);
            yield task;
          }
        }
        if (open.size) await pause(delay, deadline.signal);
      }
    } finally {
      deadline.close();
    }
  }

  async function list({ status, limit, cursor, ...options } = {}) {
    return (await call("GET", `/v1/tasks${query({ status, limit, cursor })}`, options)).body;
  }

  return {
    follow,
    public: {
      list,
      watch,
      get: async (id, options) => (await call("GET", pathOf(id), { ...options, ids: { taskId: id } })).body,
      async delete(id, options) {
        await call("DELETE", pathOf(id), { ...options, ids: { taskId: id } });
      },
      async *iterate(filter = {}) {
        let cursor;
        do {
          const page = await list({ ...filter, cursor });
          yield* page.tasks;
          cursor = page.next_cursor;
        } while (cursor);
      },
    },
  };
}

/**
 * Reads again and again: `read(slot, path, separator)` returns the latest response of the path, and whether it
 * differs from the one before in this slot. Only a first read does not wait.
 */
function createReader({ attempt, repeat, deadline, longPoll }) {
  const latest = [];

  async function read(slot, path, separator) {
    const before = latest[slot]?.path === path ? latest[slot] : undefined;
    const headers = before?.etag ? { "If-None-Match": before.etag } : {};
    const url = longPoll && before ? `${path}${separator}wait=${LONG_POLL_S}` : path;
    const send = (signal) => attempt("GET", url, { headers, signal });
    const response = await repeat(send, deadline, { patient: true });
    if (response.status === 304) return { ...response, body: before.body, changed: false };
    latest[slot] = { path, etag: response.headers.get("ETag"), body: response.body };
    return { ...response, changed: true };
  }

  read.delay = ({ headers }) => {
    const polling = seconds(headers.get("Retry-After")) || POLL_S;
    return 1000 * (longPoll ? LONG_POLL_PAUSE_S : polling);
  };
  return read;
}

function inGroups(ids) {
  const groups = [];
  while (ids.length) groups.push(ids.splice(0, IDS_PER_REQUEST));
  return groups;
}

/** `?name=value&…` of what is defined, or nothing. */
export function query(values) {
  const defined = Object.entries(values).filter(([, value]) => value !== undefined && value !== null);
  return defined.length ? `?${new URLSearchParams(defined)}` : "";
}
