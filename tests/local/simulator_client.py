"""A client of the simulated PoYo and of its control API, for the tests of the simulator."""

import io
import time
from typing import Any

import requests
from PIL import Image

from local.poyo_simulator.settings import Settings

INSTANT = Settings(seconds=(0.0, 0.0), rate=0)
NEVER_ENDING = Settings(seconds=(1e6, 1e6), rate=0)
UNREACHABLE = "http://127.0.0.1:9"  # the discard port: nothing listens there


class SimulatorClient:
    """A client of one simulated PoYo and of its control API."""

    def __init__(self, origin: str, key: str = "sk-local-poyo") -> None:
        self.origin = origin
        self.auth = {"Authorization": f"Bearer {key}"}

    def submit(
        self,
        prompt: str = "A lighthouse",
        *,
        callback_url: str | None = None,
        idempotency_key: str | None = None,
        model: str = "gpt-image-2",
        timeout_s: float = 10,
        **given: object,
    ) -> requests.Response:
        headers = self.auth | ({"Idempotency-Key": idempotency_key} if idempotency_key else {})
        body: dict[str, object] = {"model": model, "input": {"prompt": prompt, **given}}
        if callback_url:
            body["callback_url"] = callback_url
        url = f"{self.origin}/api/generate/submit"
        return requests.post(url, json=body, headers=headers, timeout=timeout_s)

    def submit_task(self, prompt: str = "A lighthouse", **given: Any) -> str:
        response = self.submit(prompt, **given)
        assert response.status_code == 200, response.text
        return str(response.json()["data"]["task_id"])

    def finished_task(self, fault: str) -> str:
        """Submit a task with one fault and wait until it is finished; returns its id."""
        task_id = self.submit_task(f"A lighthouse [[fault:{fault}]]")
        self.wait_for(task_id)
        return task_id

    def status(self, task_id: str) -> requests.Response:
        url = f"{self.origin}/api/generate/status/{task_id}"
        return requests.get(url, headers=self.auth, timeout=10)

    def task_status(self, task_id: str) -> dict[str, Any]:
        data: dict[str, Any] = self.status(task_id).json()["data"]
        return data

    def file(self, task_id: str, **options: Any) -> requests.Response:
        url = f"{self.origin}/files/{task_id}/{task_id}.png"
        return requests.get(url, timeout=10, allow_redirects=False, **options)

    def images(self, task_id: str) -> list[Image.Image]:
        """The images of a finished task, loaded from the addresses that PoYo names."""
        images: list[Image.Image] = []
        for file in self.task_status(task_id)["files"]:
            image = Image.open(io.BytesIO(requests.get(file["file_url"], timeout=10).content))
            image.load()
            images.append(image)
        return images

    def balance(self) -> float:
        url = f"{self.origin}/api/user/balance"
        response = requests.get(url, headers=self.auth, timeout=10).json()
        return float(response["data"]["credits_amount"])

    def control(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        response = requests.request(method, f"{self.origin}/control/{path}", json=body, timeout=10)
        result: dict[str, Any] = response.json()
        return result

    def task(self, task_id: str) -> dict[str, Any]:
        return self.control("GET", f"tasks/{task_id}")

    def task_count(self) -> int:
        return len(self.control("GET", "tasks")["tasks"])

    def events(self, kind: str) -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = self.control("GET", f"log?kind={kind}")["events"]
        return events

    def wait_for(self, task_id: str, state: str = "finished") -> dict[str, Any]:
        """Wait until a task is in ``state``; returns it as the control API shows it."""
        deadline = time.monotonic() + 5
        while (task := self.task(task_id))["state"] != state:
            assert time.monotonic() < deadline, f"{task['state']} instead of {state}"
            time.sleep(0.005)
        return task
