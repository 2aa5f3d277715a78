"""A task, its files and a quote, as the API returns them. Fields that this version does not know stay in `raw`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

Json = Mapping[str, Any]
SUFFIXES = {"image/png": ".png", "image/jpeg": ".jpg", "image/webp": ".webp"}


@dataclass(frozen=True, slots=True)
class Credits:
    """PoYo's credits. Unless `exact`, PoYo charges `estimated` or less; `charged` is None until it is known."""

    estimated: Decimal
    exact: bool
    charged: Decimal | None


@dataclass(frozen=True, slots=True)
class Usd:
    """The same in US dollars, at PoYo's list price of a credit."""

    estimated: Decimal
    charged: Decimal | None


@dataclass(frozen=True, slots=True)
class File:
    """An image in the bucket of the service. `file_url` needs no key; `bytes` is its size."""

    file_url: str
    content_type: str
    bytes: int
    width: int
    height: int
    sha256: str
    expires_at: datetime | None

    @property
    def suffix(self) -> str:
        """The file name's ending, with its dot."""
        return SUFFIXES.get(self.content_type, ".img")


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a task failed. `retry` is "new_key" if the same order may succeed under a new key, else "never"."""

    code: str
    message: str
    retry: str
    charged: bool | None


@dataclass(frozen=True, slots=True)
class Task:
    """One order. `status` is "not_started", "running", "finished" or "failed"; `progress` is PoYo's
    percentage, None until PoYo has said one; `typical_seconds` is how long such an image usually takes."""

    task_id: str
    status: str
    progress: float | None
    typical_seconds: float | None
    model: str
    input: Json
    metadata: Mapping[str, str]
    credits: Credits
    usd: Usd
    files: tuple[File, ...]
    error: Failure | None
    warnings: tuple[str, ...]
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None
    raw: Json

    @property
    def ended(self) -> bool:
        """Whether it is finished or failed."""
        return self.status in ("finished", "failed")


@dataclass(frozen=True, slots=True)
class Quote:
    """What an order would cost. `allowed` says whether the caller's budget and the operator let it through."""

    model: str
    credits: Decimal
    usd: Decimal
    exact: bool
    billed_resolution: str | None
    typical_seconds: float | None
    allowed: bool
    warnings: tuple[str, ...]
    raw: Json


def task_from(body: Json) -> Task:
    """The task of a response. Raises KeyError if the body is none."""
    failure = body.get("error")
    return Task(
        task_id=body["task_id"],
        status=body["status"],
        progress=_number(body.get("progress")),
        typical_seconds=_number(body.get("typical_seconds")),
        model=body["model"],
        input=body["input"],
        metadata=body.get("metadata", {}),
        credits=_credits(body["credits"]),
        usd=Usd(Decimal(body["usd"]["estimated"]), _decimal(body["usd"].get("charged"))),
        files=tuple(_file(each) for each in body.get("files", ())),
        error=_failure(failure) if failure else None,
        warnings=_sentences(body),
        created_at=datetime.fromisoformat(body["created_at"]),
        updated_at=datetime.fromisoformat(body["updated_at"]),
        finished_at=_time(body.get("finished_at")),
        raw=body,
    )


def quote_from(body: Json) -> Quote:
    """The quote of a response. Raises KeyError if the body is none."""
    budget = body.get("budget")
    return Quote(
        model=body["model"],
        credits=Decimal(body["credits"]),
        usd=Decimal(body["usd"]),
        exact=body["exact"],
        billed_resolution=body.get("billed_resolution"),
        typical_seconds=_number(body.get("typical_seconds")),
        allowed=not body.get("paused") and (budget is None or budget["allowed"]),
        warnings=_sentences(body),
        raw=body,
    )


def _credits(body: Json) -> Credits:
    return Credits(Decimal(body["estimated"]), body["exact"], _decimal(body.get("charged")))


def _file(body: Json) -> File:
    return File(
        file_url=body["file_url"],
        content_type=body["content_type"],
        bytes=body["bytes"],
        width=body["width"],
        height=body["height"],
        sha256=body["sha256"],
        expires_at=_time(body.get("expires_at")),
    )


def _failure(body: Json) -> Failure:
    return Failure(body["code"], body["message"], body["retry"], body.get("charged"))


def _sentences(body: Json) -> tuple[str, ...]:
    return tuple(each["detail"] for each in body.get("warnings", ()))


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _decimal(value: Any) -> Decimal | None:
    return None if value is None else Decimal(value)


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
