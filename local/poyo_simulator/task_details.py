"""How the control API shows a task."""

from dataclasses import asdict

from local.poyo_simulator.simulator import World
from local.poyo_simulator.tasks import FINISHED, Task


async def task_view(world: World, task: Task) -> dict[str, object]:
    """All that is known of a task but its input; its picture is drawn if it has to be."""
    order = task.order
    key = order.idempotency_key
    width, height = order.dimensions
    view: dict[str, object] = {
        "task_id": task.id,
        "model": order.model,
        "state": task.state,
        "error_message": task.error_message,
        "callback_url": order.callback_url,
        "idempotency_key": key,
        "submits": task.submits,
        "submits_with_key": world.book.key_submits[key] if key else 0,
        "callbacks": task.rings,
        "status_reads": task.status_reads,
        "file_reads": task.file_reads,
        "file_url": task.file_url,
        "file_kept": world.file_is_kept(task),
        "width": width,
        "height": height,
        "billed": order.billed,
        "credits": float(task.credits) if task.state == FINISHED or task.open else 0.0,
        "created": task.created,
        "ended": task.ended,
        "sha256": None,
        "bytes": None,
    }
    if task.state == FINISHED:
        view |= asdict(await world.gallery.fingerprint(task))
    return view
