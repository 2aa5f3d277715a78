"""The coroutines that run in the background: tasks in progress and callbacks being sent."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field


@dataclass
class BackgroundTasks:
    """Starts coroutines and cancels all of them at once."""

    running: set[asyncio.Task[object]] = field(default_factory=set)

    def start(self, work: Coroutine[object, object, object]) -> asyncio.Task[object]:
        task = asyncio.get_running_loop().create_task(work)
        self.running.add(task)
        task.add_done_callback(self.running.discard)
        return task

    def cancel_all(self) -> None:
        for task in self.running:
            task.cancel()
