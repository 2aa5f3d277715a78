import assert from "node:assert/strict";
import { describe, test } from "node:test";
import "./react-hooks.js";
import { clientOf, drop, problem, silence, TASK, taskResponse, until, useApi, useFastTimers } from "./support.js";

const { useTask } = await import("../src/react.js");
const { render } = await import("./react-stub.js");
const api = useApi();
useFastTimers();
const READ = `GET /v1/tasks/${TASK}`;
const OTHER = "b".repeat(26);

/** A component that shows the task; `props` may be changed before `rerender`. */
function shown(props) {
  const client = clientOf(api);
  const view = { states: [], completed: [] };
  const onComplete = (task, error) => view.completed.push([task.status, error?.name]);
  const component = () => {
    const { task, error, stop } = useTask(props.taskId, { client, enabled: props.enabled, onComplete });
    Object.assign(view, { task, error, stop });
    view.states.push(task?.status ?? error?.code);
  };
  return Object.assign(view, render(component));
}

describe("useTask", () => {
  test("shows each state and completes once", async () => {
    api.on(READ, taskResponse("running"), drop, taskResponse("finished"));

    const view = shown({ taskId: TASK });
    await until(() => view.completed.length);

    assert.deepEqual([...new Set(view.states)], [undefined, "running", "finished"]);
    assert.deepEqual(view.completed, [["finished", undefined]]);
    assert.equal(api.requests.length, 3);
  });

  test("completes with the failed task and its error", async () => {
    api.on(READ, taskResponse("failed"));

    const view = shown({ taskId: TASK });
    await until(() => view.completed.length);

    assert.deepEqual(view.completed, [["failed", "TaskFailedError"]]);
    assert.deepEqual([view.task.status, view.error.name], ["failed", "TaskFailedError"]);
  });

  test("shows the error that ended the following, which completes nothing", async () => {
    api.on(READ, taskResponse("running"), problem(404, "no_such_task"));

    const view = shown({ taskId: TASK });
    await until(() => view.error);

    assert.deepEqual([view.task.status, view.error.code, view.completed], ["running", "no_such_task", []]);
  });

  test("follows nothing without an id and while it is not enabled", async () => {
    api.on(READ, taskResponse("finished"));
    const props = { taskId: null, enabled: true };
    const view = shown(props);
    Object.assign(props, { taskId: TASK, enabled: false });
    view.rerender();
    assert.equal(api.requests.length, 0);

    props.enabled = true;
    view.rerender();
    await until(() => view.completed.length);

    assert.equal(api.requests.length, 1);
  });

  test("forgets the task before when it gets another id", async () => {
    api.on(READ, taskResponse("running")).on(`GET /v1/tasks/${OTHER}`, silence);
    const props = { taskId: TASK };
    const view = shown(props);
    await until(() => view.task);

    props.taskId = OTHER;
    view.rerender();
    assert.equal(view.task, undefined);
    await until(() => api.sent(`GET /v1/tasks/${OTHER}`).length);
    const before = api.sent(READ).length;
    await new Promise((done) => setTimeout(done, 10_000));

    assert.equal(api.sent(READ).length, before, "the first one is not followed any more");
    view.unmount();
  });

  for (const end of ["stop", "unmount"]) {
    test(`follows no longer after ${end}`, async () => {
      api.on(READ, taskResponse("running"));
      const view = shown({ taskId: TASK });
      await until(() => view.task);

      view[end]();
      const [requests, states] = [api.requests.length, view.states.length];
      await new Promise((done) => setTimeout(done, 10_000));

      assert.ok(api.requests.length <= requests + 1, "but for one on its way");
      assert.deepEqual([view.states.length, view.error], [states, undefined]);
    });
  }
});
