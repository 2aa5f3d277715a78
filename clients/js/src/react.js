"use client";

import { useCallback, useEffect, useRef, useState } from "react";
import { TaskFailedError } from "./errors.js";

const NOTHING = { taskId: undefined, task: undefined, error: undefined };

/**
 * Follows a task while the component is shown. `onComplete(task, error)` is called once it has ended, with a
 * TaskFailedError if it failed. `stop` ends the following, not the task.
 */
export function useTask(taskId, { client, enabled = true, onComplete }) {
  const [state, setState] = useState(NOTHING);
  const complete = useRef(onComplete);
  const latest = useRef();
  useEffect(() => {
    complete.current = onComplete;
  });

  useEffect(() => {
    if (!taskId || !enabled) return undefined;
    const controller = new AbortController();
    latest.current = controller;
    const { signal } = controller;
    function show(change) {
      if (signal.aborted) return;
      setState((before) => ({ ...(before.taskId === taskId ? before : NOTHING), taskId, ...change }));
    }
    function fail(error) {
      if (signal.aborted) return;
      show({ error });
      if (error instanceof TaskFailedError) complete.current?.(error.task, error);
    }
    const onUpdate = (task) => show({ task, error: undefined });
    const following = client.attach(taskId, { abortSignal: signal, timeout: Infinity, onUpdate });
    following.then((task) => signal.aborted || complete.current?.(task), fail);
    return () => controller.abort();
  }, [taskId, client, enabled]);

  const stop = useCallback(() => latest.current?.abort(), []);
  const { task, error } = state.taskId === taskId ? state : NOTHING;
  return { task, error, stop };
}
