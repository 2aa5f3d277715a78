"""What a client can do, step by step, for the clients with and without `async`."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote as percent_encoded

from imagetasks_client import images
from imagetasks_client.effects import Item, Pause, Send, Steps, Tell
from imagetasks_client.errors import ClientTimeoutError, ImageTasksError, TaskFailedError
from imagetasks_client.exchange import Patience, body_of, exchange, pause_s
from imagetasks_client.order import Order, Waiting
from imagetasks_client.task import File, Quote, Task, quote_from, task_from

MOST_IDS = 100  # of one GET /v1/tasks?task_ids=
LONG_POLL_S = 20  # the most that the service waits
LONG_POLL_PAUSE_S = 1.0  # it may answer at once, if many wait

Params = dict[str, str | int]


@dataclass(frozen=True, slots=True)
class Operations:
    """The operations of one client."""

    patience: Patience

    def waiting(
        self, on_update: Callable[[Task], Any] | None, timeout_s: float | None, *, long_poll: bool
    ) -> Waiting:
        """Follow a task for `timeout_s` seconds and tell `on_update` each of its states."""
        tell = on_update or _ignore
        return Waiting(self.instant(timeout_s), long_poll, lambda task: Tell(tell, (task,)))

    def instant(self, timeout_s: float | None) -> float | None:
        """The instant in `timeout_s` seconds; None for never."""
        return None if timeout_s is None else self.patience.clock() + timeout_s

    def submit(self, order: Order, key: str, until: float | None = None) -> Steps[Task]:
        """Order once, however often the request has to be sent."""
        with _about(key=key):
            body = order.body((yield from self.uploaded(order.input)))
            headers = {"Idempotency-Key": key}
            send = Send("POST", "/v1/tasks", headers=headers, json=body, expected="task_id")
            return task_from(body_of((yield from exchange(send, self.patience, until))))

    def subscribe(
        self,
        order: Order,
        key: str,
        on_enqueue: Callable[[str, str], Any] | None,
        waiting: Waiting,
    ) -> Steps[Task]:
        """Order, tell the caller the task's id and the key, and wait for the images."""
        task = yield from self.submit(order, key, waiting.until)
        with _about(key=key):
            if on_enqueue:
                yield Tell(on_enqueue, (task.task_id, key))
            return (yield from self.finished(task.task_id, waiting))

    def finished(self, task_id: str, waiting: Waiting) -> Steps[Task]:
        """The task when it has its images. Raises TaskFailedError if it ended without."""
        task = yield from self.ended(task_id, waiting)
        if task.status == "failed":
            raise TaskFailedError(task)
        return task

    def ended(self, task_id: str, waiting: Waiting) -> Steps[Task]:
        """Follow the task until it has ended; `waiting.changed` gets each of its states."""
        known: dict[str, str] = {}
        with _about(task_id):
            while True:
                send = _read(task_id, known, LONG_POLL_S if waiting.long_poll else 0)
                response = yield from exchange(send, self.patience, waiting.until)
                if response.status_code != 304:
                    task = task_from(body_of(response))
                    etag = response.headers.get("ETag")
                    known = {"If-None-Match": etag} if etag else {}
                    yield waiting.changed(task)
                    if task.ended:
                        return task
                wait_s = pause_s(response, self.patience)
                yield self._pause(LONG_POLL_PAUSE_S if waiting.long_poll else wait_s, waiting.until)

    def watch(self, task_ids: Sequence[str], until: float | None) -> Steps[None]:
        """Each new state of many tasks, as Items, until all have ended; a hundred tasks a request.
        Tasks that do not exist, or belong to somebody else, are left out."""
        open_ids, seen = list(dict.fromkeys(task_ids)), dict[str, Any]()
        while open_ids:
            wait_s, due, still_open = 0.0, open_ids, list[str]()
            while due:
                params: Params = {"task_ids": ",".join(due[:MOST_IDS])}
                send = Send("GET", "/v1/tasks", params=params)
                response = yield from exchange(send, self.patience, until)
                body, wait_s = body_of(response), max(wait_s, pause_s(response, self.patience))
                due = due[MOST_IDS:] + body["remaining"]  # these did not fit into the response
                for each in body["tasks"]:
                    task = task_from(each)
                    if seen.get(task.task_id) != each:
                        seen[task.task_id] = each
                        yield Item(task)
                    still_open += [] if task.ended else [task.task_id]
            open_ids = still_open
            if open_ids:
                yield self._pause(wait_s, until)

    def read(self, task_id: str) -> Steps[Task]:
        """The task as it is now."""
        with _about(task_id):
            return task_from(body_of((yield from exchange(_read(task_id, {}, 0), self.patience))))

    def tasks(self, status: str | None) -> Steps[None]:
        """All tasks, newest first, as Items."""
        params: Params = {"limit": 100} | ({"status": status} if status else {})
        while True:
            send = Send("GET", "/v1/tasks", params=params)
            body = body_of((yield from exchange(send, self.patience)))
            for each in body["tasks"]:
                yield Item(task_from(each))
            if not body.get("next_cursor"):
                return
            params["cursor"] = body["next_cursor"]

    def delete(self, task_id: str) -> Steps[None]:
        """Delete the task and its images. What was charged stays charged."""
        with _about(task_id):
            yield from exchange(Send("DELETE", _path(task_id)), self.patience)

    def quote(self, order: Order) -> Steps[Quote]:
        """What the order would cost."""
        body = order.body((yield from self.uploaded(order.input)))
        response = yield from exchange(Send("POST", "/v1/quotes", json=body), self.patience)
        return quote_from(body_of(response))

    def usage(
        self, since: str | None, until: str | None, cursor: str | None = None
    ) -> Steps[dict[str, Any]]:
        """A page of GET /v1/usage."""
        given = {"from": since, "to": until, "cursor": cursor}
        params: Params = {name: value for name, value in given.items() if value}
        return (yield from self._json(Send("GET", "/v1/usage", params=params)))

    def usage_rows(self, since: str | None, until: str | None) -> Steps[None]:
        """The rows of all pages, as Items. Later pages repeat the days of the first."""
        page = yield from self.usage(since, until)
        while True:
            for row in page["rows"]:
                yield Item(row)
            if not page["next_cursor"]:
                return
            page = yield from self.usage(page["from"], page["to"], page["next_cursor"])

    def models(self) -> Steps[list[dict[str, Any]]]:
        """The models of the catalogue."""
        body = yield from self._json(Send("GET", "/v1/catalog/models"))
        return list(body["data"]["items"])

    def create_token(self, wanted: Mapping[str, Any]) -> Steps[dict[str, Any]]:
        """Issue a browser token."""
        return (yield from self._json(Send("POST", "/v1/tokens", json=wanted)))

    def upload(self, image: images.Image) -> Steps[str]:
        """Upload a file straight to the bucket. Returns the upload:// address that an order takes."""
        target = Send("POST", "/v1/uploads", json={"content_type": image.content_type})
        created = body_of((yield from exchange(target, self.patience)))
        form = created["upload"]
        file = (image.name, image.content, image.content_type)
        send = Send("POST", form["url"], form=form["fields"], file=file, timeout_s=120)
        yield from exchange(send, self.patience)
        return str(created["file_url"])

    def uploaded(self, fields: Mapping[str, Any]) -> Steps[dict[str, Any]]:
        """The input with each Path, alone or in a list, replaced by the address of its upload. Every
        file is read before the first is sent."""
        files = {path: images.image_at(path) for path in _paths(fields)}
        addresses = {}
        for path, image in files.items():
            addresses[path] = yield from self.upload(image)
        return {
            name: [addresses.get(each, each) for each in value]
            if isinstance(value, list)
            else (addresses[value] if isinstance(value, Path) else value)
            for name, value in fields.items()
        }

    def download(self, file: File) -> Steps[bytes]:
        """The bytes of an image."""
        response = yield from exchange(Send("GET", file.file_url, timeout_s=120), self.patience)
        return response.content

    def _json(self, send: Send) -> Steps[dict[str, Any]]:
        return body_of((yield from exchange(send, self.patience)))

    def _pause(self, seconds: float, until: float | None) -> Pause:
        left = seconds if until is None else until - self.patience.clock()
        if left <= 0:
            raise ClientTimeoutError
        return Pause(min(seconds, left))


def new_key() -> str:
    """An idempotency key. Keep it with the purpose of the image: it finds the task again."""
    return str(uuid.uuid4())


def _ignore(_: Task) -> None:
    """No listener."""


@contextmanager
def _about(task_id: str | None = None, key: str | None = None) -> Iterator[None]:
    """Every error says which task and which order it is about."""
    try:
        yield
    except ImageTasksError as error:
        error.task_id = error.task_id or task_id
        error.idempotency_key = error.idempotency_key or key
        raise


def _path(task_id: str) -> str:
    return f"/v1/tasks/{percent_encoded(task_id, safe='')}"


def _read(task_id: str, known: Mapping[str, str], wait_s: int) -> Send:
    params: Params = {"wait": wait_s} if wait_s else {}
    return Send("GET", _path(task_id), params=params, headers=known, timeout_s=wait_s + 30)


def _paths(fields: Mapping[str, Any]) -> list[Path]:
    values = [
        each
        for value in fields.values()
        for each in (value if isinstance(value, list) else [value])
    ]
    return list(dict.fromkeys(each for each in values if isinstance(each, Path)))
