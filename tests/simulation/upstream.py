"""The simulated PoYo: accepts submits, charges, works, loses and contradicts its responses."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from imagetasks.errors import RequestNotSent, ResponseLost
from imagetasks.poyo.transport import HttpResponse
from tests.simulation import upstream_responses
from tests.simulation.faults import DENIED_CREATIONS
from tests.simulation.scheduler import Simulator
from tests.simulation.secrets import SimulatedSecrets
from tests.simulation.upstream_ledger import FAILURES, Ledger, PoyoTask, Submit, estimate

ORIGIN = "https://poyo.invalid"


@dataclass(eq=False)
class SimulatedPoyo:
    """PoYo's API; `send` replaces `imagetasks.poyo.transport.send`."""

    simulator: Simulator
    ledger: Ledger
    secrets: SimulatedSecrets
    check_submit: Callable[[str, str], None]
    rejected_at: int = 0  # time of the last 401
    macs: set[str] = field(default_factory=set)

    def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None,
        read_s: float,
    ) -> HttpResponse:
        """Respond to one request. Raises RequestNotSent or ResponseLost."""
        if method == "POST":
            what: Callable[[], HttpResponse] = lambda: self._submit(headers, body or b"", read_s)  # noqa: E731
        else:
            what = lambda: self._status(headers, url.rpartition("/")[2], read_s)  # noqa: E731
        return self.simulator.effect(
            f"poyo.{method}", what, describe=lambda reply: f"HTTP {reply.status}"
        )

    def _submit(self, headers: Mapping[str, str], body: bytes, read_s: float) -> HttpResponse:
        fault = self._submit_fault()
        if fault == "not_sent":
            raise RequestNotSent("ConnectionRefusedError")
        request: dict[str, Any] = json.loads(body)
        order = str(request["input"]["prompt"]).removeprefix("CANARY-prompt ")
        task_id = headers["Idempotency-Key"]
        self.macs.add(str(request["callback_url"]).rpartition("/")[2])
        self.check_submit(order, task_id)
        self.ledger.outdated_key_orders.discard(order)
        if fault == "request_lost":
            return self._request_lost(order, read_s)
        key = headers["Authorization"].removeprefix("Bearer ")
        echo = {"prompt": request["input"]["prompt"], "key": key, "url": request["callback_url"]}
        if key not in self.secrets.accepted:
            if key != self.secrets.poyo_keys[-1] and not self._rejected_lately():
                self.ledger.outdated_key_orders.add(order)
            fault = "unauthorized_401"
        if fault == "unauthorized_401":
            self.rejected_at = self.simulator.now
        if fault and fault in DENIED_CREATIONS:
            self.ledger.create_task(order, task_id, request["callback_url"], creation_denied=True)
            return self._rejection(order, fault.removesuffix("_created"), echo)
        if fault and fault.endswith("_created"):
            self.ledger.create_task(order, task_id, request["callback_url"])
            return self._unclear_response(order, fault.removesuffix("_created"), echo)
        if fault and fault not in ("response_lost", "response_delayed"):
            return self._rejection(order, fault, echo)
        task = self.ledger.create_task(order, task_id, request["callback_url"])
        self._record_submit(order, "created")
        if fault == "response_lost":
            self.simulator.sleep(self.simulator.rng.uniform(0, read_s * 1000))
            raise ResponseLost("RemoteDisconnected")
        self._delay_response(read_s, delayed=fault == "response_delayed")
        task.submitter = self.simulator.process
        return upstream_responses.submit_response(task.poyo_id, self.simulator.rng)

    def _submit_fault(self) -> str | None:
        if (
            self.simulator.scenario.upstream_denies
            and not self.simulator.fault_free
            and self.simulator.rng.random() < 0.3
        ):
            kind = self.simulator.rng.choice(DENIED_CREATIONS)
            self.simulator.counts["denied_creation", kind] += 1
            return kind
        return self.simulator.fault("poyo.submit")

    def _request_lost(self, order: str, read_s: float) -> HttpResponse:
        self._record_submit(order, "unclear")
        self.simulator.sleep(read_s * 1000)
        raise ResponseLost("ReadTimeout")

    def _unclear_response(self, order: str, kind: str, echo: dict[str, str]) -> HttpResponse:
        self._record_submit(order, "unclear")
        known = kind in upstream_responses.ERRORS or kind.endswith("_in_200") or kind == "html_502"
        return (
            upstream_responses.error_response(kind, echo)
            if known
            else upstream_responses.unusable_response(kind)
        )

    def _rejection(self, order: str, kind: str, echo: dict[str, str]) -> HttpResponse:
        """An error response; nothing was created, although a client cannot know that of 408 and 5xx."""
        retryable = kind.startswith(("busy_429", "unauthorized_401"))
        unclear = kind.startswith(("timeout_408", "error_500", "html_502"))
        outcome = "retryable" if retryable else "unclear" if unclear else "rejected"
        self._record_submit(order, outcome)
        return upstream_responses.error_response(kind, echo)

    def _delay_response(self, read_s: float, *, delayed: bool) -> None:
        """Delay the response. Raises ResponseLost when it takes longer than `read_s`."""
        slow = (
            (8_000, 16_000) if delayed else (20, 400) if self.simulator.fault_free else (20, 4000)
        )
        takes = self.simulator.rng.uniform(*slow)
        self.simulator.sleep(min(takes, read_s * 1000))
        if takes > read_s * 1000:
            raise ResponseLost("ReadTimeout")

    def _record_submit(self, order: str, outcome: str) -> None:
        self.ledger.submits.append(Submit(order, outcome))

    def _status(self, headers: Mapping[str, str], poyo_id: str, read_s: float) -> HttpResponse:
        fault = self.simulator.fault("poyo.status")
        if fault == "not_sent":
            raise RequestNotSent("ConnectTimeoutError")
        self.simulator.sleep(self.simulator.rng.uniform(5, 300))
        if fault == "response_lost":
            raise ResponseLost("ReadTimeout")
        key = headers["Authorization"].removeprefix("Bearer ")
        task = self.ledger.find(poyo_id)
        if key not in self.secrets.accepted:
            self.rejected_at = self.simulator.now
            return upstream_responses.error_response("unauthorized_401", {"key": key})
        if fault == "unauthorized_401":
            self.rejected_at = self.simulator.now
        if task and fault in ("stale", "not_found_404") and task.ended(self.simulator.now):
            task.denied_at = self.simulator.now
        if task is None or self.simulator.now < task.visible_at or fault == "not_found_404":
            if task:
                task.not_found_count += 1
            return upstream_responses.error_response("not_found_404", {})
        if fault == "garbage_200":
            return upstream_responses.unusable_response(fault)
        if fault and fault not in ("stale", "no_files", "false_failure"):
            return upstream_responses.error_response(fault, {"key": key, "url": task.callback_url})
        data = self._data(task, fault)
        return HttpResponse(
            200, upstream_responses.task_body(data, wrapped=self.simulator.rng.random() < 0.8)
        )

    def _rejected_lately(self) -> bool:
        """Whether a 401 of the last seconds may have used up a sandbox's refresh of the key.

        A sandbox refreshes a rejected key once in five seconds.
        """
        return self.simulator.now - self.rejected_at < 6000

    def _data(self, task: PoyoTask, fault: str | None) -> dict[str, Any]:
        """The task object as of now, an outdated one, or one that is wrong."""
        rng = self.simulator.rng
        if fault == "false_failure":
            task.false_failures += 1
            return self._failed(task, "exception")
        if fault == "stale" or not task.ended(self.simulator.now):
            return upstream_responses.running_task(task.poyo_id, rng.randint(0, 9900) / 100, rng)
        if task.result in FAILURES:
            return self._failed(task, task.result)
        data = upstream_responses.finished_task(
            task.poyo_id, () if fault == "no_files" else task.urls, rng
        )
        credits_amount = data.get("credits_amount")
        charged = estimate(task.order) if credits_amount is None else Decimal(str(credits_amount))
        task.reported_credits.add(charged)
        return data

    def _failed(self, task: PoyoTask, result: str) -> dict[str, Any]:
        """The task object of a failure, which sometimes names the credits that PoYo kept."""
        data = upstream_responses.failed_task(task.poyo_id, FAILURES[result], self.simulator.rng)
        if kept := Decimal(data.get("credits_amount", 0)):
            task.reported_credits.add(kept)
        return data
