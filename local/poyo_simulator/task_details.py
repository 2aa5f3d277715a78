"""The JSON of a task in the control API."""

from dataclasses import asdict

from local.poyo_simulator.simulator import Simulator
from local.poyo_simulator.tasks import FINISHED, Task


async def task_details(simulator: Simulator, task: Task) -> dict[str, object]:
    """Return all that is known of a task except its input; draws its images if it has none yet."""
    order = task.order
    key = order.idempotency_key
    width, height = order.dimensions
    details: dict[str, object] = {
        "task_id": task.id,
        "model": order.model,
        "state": task.state,
        "error_message": task.error_message,
        "callback_url": order.callback_url,
        "idempotency_key": key,
        "submits": task.submits,
        "submits_with_key": simulator.tasks.key_submits[key] if key else 0,
        "callbacks": task.callbacks,
        "status_reads": task.status_reads,
        "file_reads": task.file_reads,
        "file_url": task.file_urls[0],
        "file_kept": simulator.file_is_available(task),
        "width": width,
        "height": height,
        "billed": order.billed,
        "credits": float(task.credits) if task.state == FINISHED or task.open else 0.0,
        "created": task.created,
        "ended": task.ended,
        "sha256": None,
        "bytes": None,
        "files": [],
    }
    if task.state == FINISHED:
        urls = task.file_urls
        digests = [asdict(await simulator.images.digest(task, n)) for n in range(len(urls))]
        files = [{"file_url": url, **each} for url, each in zip(urls, digests, strict=True)]
        details |= {**digests[0], "files": files}
    return details
