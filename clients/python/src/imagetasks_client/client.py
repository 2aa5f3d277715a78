"""The client: `Client(base_url, key).subscribe(model, input)` returns a task with its images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Self

import httpx

from imagetasks_client import images
from imagetasks_client.bearer import AuthCallback, TokenAuth
from imagetasks_client.connection import Connection
from imagetasks_client.driver import Driver
from imagetasks_client.effects import Item
from imagetasks_client.exchange import Patience
from imagetasks_client.operations import Operations, new_key
from imagetasks_client.order import Order, Waiting
from imagetasks_client.task import Quote, Task

Input = Mapping[str, Any]


class TaskHandle:
    """A task: `status()` reads it, `iter_events()` follows it, `get()` waits for its images.
    `accepted` is the task as it was ordered and `idempotency_key` the key of its order, both None if this
    handle did not order it."""

    def __init__(
        self,
        driver: Driver,
        operations: Operations,
        task_id: str,
        accepted: Task | None = None,
        idempotency_key: str | None = None,
    ) -> None:
        self._driver, self._operations, self.task_id = driver, operations, task_id
        self.accepted, self.idempotency_key = accepted, idempotency_key

    def status(self) -> Task:
        """The task as it is now."""
        return self._driver.run(self._operations.read(self.task_id))

    def iter_events(
        self, client_timeout_s: float | None = None, *, long_poll: bool = False
    ) -> Iterator[Task]:
        """The task as it is now and at each change, until it has ended."""
        waiting = Waiting(self._operations.instant(client_timeout_s), long_poll, Item)
        return self._driver.iterate(self._operations.ended(self.task_id, waiting))

    def get(self, client_timeout_s: float | None = None, *, long_poll: bool = False) -> Task:
        """The finished task. Raises TaskFailedError, or ClientTimeoutError after so many seconds."""
        waiting = self._operations.waiting(None, client_timeout_s, long_poll=long_poll)
        return self._driver.run(self._operations.finished(self.task_id, waiting))


class Client:
    """A service at `base_url`, called with a server key or a browser token.

    `base_url`, `key` and `owner` come from IMAGETASKS_URL, IMAGETASKS_KEY and IMAGETASKS_OWNER if they
    are None; a missing one of the first two is a ValueError. `owner` is the user that a server key acts
    for. `auth_callback` takes the place of a key: it returns a browser token, or the answer of POST
    /v1/tokens, and is called again at 80 % of the token's life and once after a 401. `patience` says how
    long a request is repeated that got no answer or was told to come again: two minutes by default.
    Thread-safe; close it, or use it in a `with` statement.
    """

    def __init__(
        self,
        base_url: str | None = None,
        key: str | None = None,
        owner: str | None = None,
        *,
        auth_callback: AuthCallback | None = None,
        patience: Patience | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        patience = patience or Patience()
        tokens = TokenAuth(auth_callback, patience.clock) if auth_callback else None
        connection = Connection.of(base_url, key, owner, tokens)
        self._operations = Operations(patience)
        self._driver = Driver(connection, transport)

    def subscribe(
        self,
        model: str,
        input: Input,  # noqa: A002  # the API's word
        *,
        idempotency_key: str | None = None,
        on_enqueue: Callable[[str, str], Any] | None = None,
        on_update: Callable[[Task], Any] | None = None,
        client_timeout_s: float | None = None,
        long_poll: bool = False,
        metadata: Mapping[str, str] | None = None,
        max_credits: float | Decimal | None = None,
        callback_url: str | None = None,
    ) -> Task:
        """Order an image and wait until it is in the bucket.

        `on_enqueue` gets the task's id and the idempotency key as soon as the order is accepted,
        `on_update` each new state of the task. A Path in `input` is uploaded first. The task is polled
        as often as the service asks; `long_poll` holds requests open instead.

        Raises ValidationError or ApiError if nothing was ordered, TaskFailedError if the task failed,
        ClientTimeoutError after `client_timeout_s` seconds, ConnectionFailed if the service is out of
        reach. The task goes on whatever is raised, also KeyboardInterrupt.
        """
        order = Order(model, input, metadata, max_credits, callback_url)
        waiting = self._operations.waiting(on_update, client_timeout_s, long_poll=long_poll)
        key = idempotency_key or new_key()
        return self._driver.run(self._operations.subscribe(order, key, on_enqueue, waiting))

    def submit(
        self,
        model: str,
        input: Input,  # noqa: A002
        *,
        idempotency_key: str | None = None,
        client_timeout_s: float | None = None,
        metadata: Mapping[str, str] | None = None,
        max_credits: float | Decimal | None = None,
        callback_url: str | None = None,
    ) -> TaskHandle:
        """Order an image without waiting for it. Raises ValidationError, ApiError, ConnectionFailed, or
        ClientTimeoutError if there is no answer within `client_timeout_s` seconds."""
        order = Order(model, input, metadata, max_credits, callback_url)
        key = idempotency_key or new_key()
        until = self._operations.instant(client_timeout_s)
        task = self._driver.run(self._operations.submit(order, key, until))
        return TaskHandle(self._driver, self._operations, task.task_id, task, key)

    def get_handle(self, task_id: str) -> TaskHandle:
        """The handle of a task that was ordered before."""
        return TaskHandle(self._driver, self._operations, task_id)

    def tasks(self, status: str | None = None) -> Iterator[Task]:
        """The tasks of this owner, newest first; `status` selects one status."""
        return self._driver.iterate(self._operations.tasks(status))

    def watch(
        self, task_ids: Sequence[str], client_timeout_s: float | None = None
    ) -> Iterator[Task]:
        """Each new state of many tasks until all have ended, with one request for a hundred of them."""
        until = self._operations.instant(client_timeout_s)
        return self._driver.iterate(self._operations.watch(task_ids, until))

    def delete(self, task_id: str) -> None:
        """Delete a task and its images. What was charged stays charged."""
        self._driver.run(self._operations.delete(task_id))

    def quote(
        self,
        model: str,
        input: Input,  # noqa: A002
        max_credits: float | Decimal | None = None,
    ) -> Quote:
        """What an order would cost, and whether the budget allows it."""
        return self._driver.run(
            self._operations.quote(Order(model, input, max_credits=max_credits))
        )

    def usage(self, since: str | None = None, until: str | None = None) -> dict[str, Any]:
        """GET /v1/usage: the first page of what was spent, from the day `since` (YYYY-MM-DD) to `until`,
        both included; the last seven days by default."""
        return self._driver.run(self._operations.usage(since, until))

    def usage_rows(
        self, since: str | None = None, until: str | None = None
    ) -> Iterator[dict[str, Any]]:
        """The rows of all pages: day, owner, model, tasks, estimated, reserved and charged credits."""
        return self._driver.iterate(self._operations.usage_rows(since, until))

    def models(self) -> list[dict[str, Any]]:
        """The models that the service offers: fields as JSON Schema, and prices."""
        return self._driver.run(self._operations.models())

    def create_token(self, owner: str, max_credits: float, **fields: Any) -> dict[str, Any]:
        """POST /v1/tokens: a browser token for a user; `ttl_s`, `scopes`, `models`, `origin`, `max_tasks`."""
        wanted = {"owner": owner, "max_credits": max_credits, **fields}
        return self._driver.run(self._operations.create_token(wanted))

    def upload_file(self, path: str | Path) -> str:
        """Upload an image. Returns the upload:// address for `image_urls`; it expires after a day."""
        return self._driver.run(self._operations.upload(images.image_at(Path(path))))

    def save(self, task: Task, folder: str | Path = ".", name: str | None = None) -> list[Path]:
        """Save the images of a finished task in `folder`, named `name` or its id; several are numbered
        from 0. Raises DamagedFile, OSError, or what a request raises."""
        return [
            images.save(file, self._driver.run(self._operations.download(file)), path)
            for file, path in images.paths(task, Path(folder), name)
        ]

    def close(self) -> None:
        """Close the connections."""
        self._driver.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
