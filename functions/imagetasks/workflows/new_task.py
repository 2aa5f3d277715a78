"""The task of a new order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imagetasks.tasks.task import (
    PUBLIC_STATUS,
    State,
    Task,
    derive_task_id,
    owner_status_key,
    shard_of,
)

if TYPE_CHECKING:
    from imagetasks.clock import Clock
    from imagetasks.poyo.rate_limit import Slot
    from imagetasks.workflows.submit import Order


def new_task(order: Order, slot: Slot, *, due_at: int, clock: Clock) -> Task:
    """The task of `order`: submitting, or pending if its slot is later. Called by `Submitter.submit`."""
    stamp = clock.stamp()
    waits = slot.not_before is not None
    state, events = State.SUBMITTING, ["accepted"]
    if waits:
        state, events = State.PENDING, ["accepted", "waiting"]
    task_id = derive_task_id(order.owner, order.idempotency_key)
    return Task(
        task_id=task_id,
        owner=order.owner,
        fingerprint=order.fingerprint,
        model=order.model,
        input=order.input,
        metadata=order.metadata,
        state=state,
        attempt=1,
        estimated_credits=order.estimated_credits,
        public_base_url=order.public_base_url,
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
        file_url_key=f"{clock.rng.getrandbits(160):040x}",
        owner_key=order.owner,
        owner_status_key=owner_status_key(PUBLIC_STATUS[state], order.owner),
        notification_url=order.notification_url,
        history=tuple({"at": stamp.now, "event": each} for each in events),
    )
