const LONGEST_TIMER_MS = 2 ** 31 - 1; // a longer one would fire at once

/**
 * A signal that aborts with `signal`, or after `timeout` ms with the error of `onTimeout`. Call `close` at the
 * end. A timeout that no timer can hold, such as Infinity, is none.
 */
export function createDeadline({ timeout, signal, onTimeout }) {
  const controller = new AbortController();
  const end = Date.now() + timeout;
  const forward = () => controller.abort(signal.reason);
  if (signal?.aborted) forward();
  signal?.addEventListener("abort", forward, { once: true });
  const late = () => controller.abort(onTimeout());
  const timer = timeout <= LONGEST_TIMER_MS ? setTimeout(late, timeout) : undefined;
  return {
    signal: controller.signal,
    left: () => end - Date.now(),
    close() {
      clearTimeout(timer);
      signal?.removeEventListener("abort", forward);
    },
  };
}

/** `promise`, unless `signal` aborts before: then its reason is thrown. */
export function unlessAborted(promise, signal) {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

/** Waits `ms` and up to a quarter more, so that many clients do not ask at the same time. */
export async function pause(ms, signal) {
  let timer;
  const over = new Promise((resolve) => {
    timer = setTimeout(resolve, ms * (1 + Math.random() / 4));
  });
  try {
    await unlessAborted(over, signal);
  } finally {
    clearTimeout(timer);
  }
}
