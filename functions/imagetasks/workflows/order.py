"""An order, and the task that it becomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from imagetasks.tasks.task import (
    PUBLIC_STATUS,
    State,
    Task,
    base64_text,
    derive_task_id,
    owner_status_key,
    shard_of,
)
from imagetasks.tasks.usage import usage_pk

if TYPE_CHECKING:
    from imagetasks.clock import Clock
    from imagetasks.poyo.rate_limit import Slot
    from imagetasks.tasks.budgets import Limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A validated order. `input` is as PoYo accepts it, except that uploads are still `upload://…`;
    `defaults` are what PoYo takes for fields that it leaves out, and `addresses` its URLs by JSON pointer.
    Unless `credits_exact`, PoYo charges `estimated_credits` or less. `fingerprint` tells a replay from
    another order under the same key, `public_base_url` is the origin of PoYo's callback,
    `notification_url` the caller's own."""

    owner: str
    idempotency_key: str
    fingerprint: str
    model: str
    input: Mapping[str, Any]
    metadata: Mapping[str, str]
    estimated_credits: Decimal
    public_base_url: str
    notification_url: str | None = None
    defaults: Mapping[str, Any] = field(default_factory=dict)
    addresses: Mapping[str, str] = field(default_factory=dict)
    credits_exact: bool = True
    billed_resolution: str | None = None
    typical_seconds: int | None = None


# What a task takes from its order as it is.
COPIED = (
    "owner", "fingerprint", "model", "input", "defaults", "metadata", "estimated_credits", "credits_exact",
    "billed_resolution", "typical_seconds", "public_base_url", "notification_url",
)  # fmt: skip


def new_task(
    order: Order, slot: Slot, limits: Sequence[Limit], *, due_at: int, clock: Clock
) -> Task:
    """The task of `order`: submitting, or pending if its slot is later. Its credits are booked under
    `limits` and in its owner's usage. Called by `Submitter.submit`."""
    stamp = clock.stamp()
    waits = slot.not_before is not None
    state, events = State.SUBMITTING, ["accepted"]
    if waits:
        state, events = State.PENDING, ["accepted", "waiting"]
    task_id = derive_task_id(order.owner, order.idempotency_key)
    task = Task(
        **{name: getattr(order, name) for name in COPIED},
        task_id=task_id,
        address_pointers=tuple(order.addresses),
        state=state,
        attempt=1,
        created_at=stamp.now,
        updated_at=stamp.now,
        attempted_at=stamp.now,
        write_token=stamp.write_token,
        due_at=due_at,
        due_since=due_at,
        due_shard=shard_of(task_id),
        not_before=slot.not_before,
        slot_number=slot.number if waits else None,
        refused_at=stamp.now if waits and slot.breaker_open else None,
        file_url_key=base64_text(clock.rng.getrandbits(160).to_bytes(20)),
        owner_key=order.owner,
        owner_status_key=owner_status_key(PUBLIC_STATUS[state], order.owner),
        history=tuple({"at": stamp.now, "event": each} for each in events),
    )
    return replace(task, spend_pks=(*(limit.pk for limit in limits), usage_pk(task)))
