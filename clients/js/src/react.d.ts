import type { Client, Task } from "./index.js";

export interface UseTaskOptions {
  /** Keep the client outside of the component: another client starts again. */
  client: Client;
  /** Default true. */
  enabled?: boolean;
  /** Called once when the task has ended, with a TaskFailedError if it failed. */
  onComplete?(task: Task, error?: Error): void;
}

/** Follows a task while the component is shown; nothing happens without a `taskId`. */
export function useTask(
  taskId: string | null | undefined,
  options: UseTaskOptions,
): { task: Task | undefined; error: unknown; stop: () => void };
