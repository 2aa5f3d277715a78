"""The simulated PoYo: takes orders, charges, works, forgets answers, contradicts itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from imagetasks.errors import RequestNotSent, ResponseLost
from imagetasks.poyo.reply import HttpResponse
from tests.simulation import answers
from tests.simulation.faults import LIES
from tests.simulation.scheduler import World
from tests.simulation.secrets import SimulatedSecrets
from tests.simulation.upstream_ledger import FAILURES, Ledger, Made, Post

ORIGIN = "https://poyo.invalid"
ESTIMATE = Decimal(2)


@dataclass(eq=False)
class SimulatedPoyo:
    """PoYo's account and its wire; `send` is what `imagetasks.wire.send` is in production."""

    world: World
    ledger: Ledger
    secrets: SimulatedSecrets
    posted: Callable[[str, str], None]
    refused_at: int = 0  # the last 401
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
        """Answer one request."""
        if method == "POST":
            what: Callable[[], HttpResponse] = lambda: self._submit(headers, body or b"", read_s)  # noqa: E731
        else:
            what = lambda: self._status(headers, url.rpartition("/")[2], read_s)  # noqa: E731
        return self.world.effect(f"poyo.{method}", what, show=lambda reply: f"HTTP {reply.status}")

    # The paid door

    def _submit(self, headers: Mapping[str, str], body: bytes, read_s: float) -> HttpResponse:
        fault = self._submit_fault()
        if fault == "not_sent":
            raise RequestNotSent("ConnectionRefusedError")
        said: dict[str, Any] = json.loads(body)
        order = str(said["input"]["prompt"]).removeprefix("CANARY-prompt ")
        task_id = headers["Idempotency-Key"]
        self.macs.add(str(said["callback_url"]).rpartition("/")[2])
        self.posted(order, task_id)
        self.ledger.outdated.discard(order)
        if fault == "request_lost":
            return self._lost(order, read_s)
        key = headers["Authorization"].removeprefix("Bearer ")
        echo = {"prompt": said["input"]["prompt"], "key": key, "url": said["callback_url"]}
        if key not in self.secrets.accepted:
            if key != self.secrets.poyo_keys[-1] and not self._refused_lately():
                self.ledger.outdated.add(order)
            fault = "unauthorised_401"
        if fault == "unauthorised_401":
            self.refused_at = self.world.now
        if fault and fault in LIES:
            self.ledger.make(order, task_id, said["callback_url"], lied=True)
            return self._refused(order, fault.removesuffix("_created"), echo)
        if fault and fault.endswith("_created"):
            self.ledger.make(order, task_id, said["callback_url"])
            return self._unclear(order, fault.removesuffix("_created"), echo)
        if fault and fault not in ("answer_lost", "answer_late"):
            return self._refused(order, fault, echo)
        made = self.ledger.make(order, task_id, said["callback_url"])
        self._note(order, "made")
        if fault == "answer_lost":
            self.world.sleep(self.world.chance.uniform(0, read_s * 1000))
            raise ResponseLost("RemoteDisconnected")
        self._answer_after(read_s, late=fault == "answer_late")
        made.told = self.world.process
        return answers.accepted(made.poyo_id, self.world.chance)

    def _submit_fault(self) -> str | None:
        if self.world.plan.lies and not self.world.calm and self.world.chance.random() < 0.3:
            kind = self.world.chance.choice(LIES)
            self.world.counts["lie", kind] += 1
            return kind
        return self.world.fault("poyo.submit")

    def _lost(self, order: str, read_s: float) -> HttpResponse:
        self._note(order, "unclear")
        self.world.sleep(read_s * 1000)
        raise ResponseLost("ReadTimeout")

    def _unclear(self, order: str, kind: str, echo: dict[str, str]) -> HttpResponse:
        self._note(order, "unclear")
        known = kind in answers.TROUBLE or kind.endswith("_in_200") or kind == "html_502"
        return answers.trouble(kind, echo) if known else answers.garbage(kind)

    def _refused(self, order: str, kind: str, echo: dict[str, str]) -> HttpResponse:
        """Nothing was made: some may be sent again, some never, 408 and 5xx do not say so."""
        later = kind.startswith(("busy_429", "unauthorised_401"))
        unclear = kind.startswith(("timeout_408", "error_500", "html_502"))
        outcome = "later" if later else "unclear" if unclear else "refused"
        self._note(order, outcome)
        return answers.trouble(kind, echo)

    def _answer_after(self, read_s: float, *, late: bool) -> None:
        """The answer takes its time; past `read_s` nobody is there to hear it."""
        slow = (8_000, 16_000) if late else (20, 400) if self.world.calm else (20, 4000)
        takes = self.world.chance.uniform(*slow)
        self.world.sleep(min(takes, read_s * 1000))
        if takes > read_s * 1000:
            raise ResponseLost("ReadTimeout")

    def _note(self, order: str, outcome: str) -> None:
        self.ledger.posts.append(Post(order, outcome))

    # The free door

    def _status(self, headers: Mapping[str, str], poyo_id: str, read_s: float) -> HttpResponse:
        fault = self.world.fault("poyo.status")
        if fault == "not_sent":
            raise RequestNotSent("ConnectTimeoutError")
        self.world.sleep(self.world.chance.uniform(5, 300))
        if fault == "answer_lost":
            raise ResponseLost("ReadTimeout")
        key = headers["Authorization"].removeprefix("Bearer ")
        made = self.ledger.find(poyo_id)
        if key not in self.secrets.accepted:
            self.refused_at = self.world.now
            return answers.trouble("unauthorised_401", {"key": key})
        if fault == "unauthorised_401":
            self.refused_at = self.world.now
        if made is None or self.world.now < made.known_at or fault == "unknown_404":
            if made:
                made.not_found_count += 1
            return answers.trouble("unknown_404", {})
        if fault == "garbage_200":
            return answers.garbage(fault)
        if fault and fault not in ("behind", "no_files"):
            return answers.trouble(fault, {"key": key, "url": made.callback_url})
        data = self._data(made, fault)
        return HttpResponse(200, answers.state(data, wrapped=self.world.chance.random() < 0.8))

    def _refused_lately(self) -> bool:
        """Whether somebody may have read the key again for a 401 a moment ago, and waits a little
        before doing it once more."""
        return self.world.now - self.refused_at < 6000

    def _data(self, made: Made, fault: str | None) -> dict[str, Any]:
        """The task object as of now, or as of some time ago."""
        chance = self.world.chance
        if fault == "behind" or not made.ended(self.world.now):
            return answers.running(made.poyo_id, chance.randint(0, 9900) / 100, chance)
        if made.end in FAILURES:
            return answers.failed(made.poyo_id, FAILURES[made.end], chance)
        if fault == "no_files":
            made.spoilt += 1
        data = answers.finished(made.poyo_id, () if fault == "no_files" else made.urls, chance)
        said = data.get("credits_amount")
        made.meter.add(ESTIMATE if said is None else Decimal(str(said)))
        return data
