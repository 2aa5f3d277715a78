"""The pictures: drawn by Pillow in the billed size, the same bytes whenever the same task asks."""

import asyncio
import hashlib
import io
import textwrap
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

from PIL import Image, ImageDraw, ImageFont

from local.poyo_simulator.fault_rules import without_marks
from local.poyo_simulator.orders import Order
from local.poyo_simulator.seeded_random import dice
from local.poyo_simulator.tasks import Task

MOST_KEPT = 32
MOST_KEPT_BYTES = 64 * 1024 * 1024
SHORTENED = 220


@dataclass(frozen=True)
class Fingerprint:
    """What is remembered of a picture for good."""

    sha256: str
    bytes: int


@dataclass(frozen=True)
class Picture:
    """A drawn PNG."""

    png: bytes

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.png).hexdigest()


class Gallery:
    """Draws off the event loop, two at a time, and keeps only the pictures asked for last."""

    def __init__(self) -> None:
        self._painters = ThreadPoolExecutor(max_workers=2, thread_name_prefix="painter")
        self._fingerprints: dict[str, Fingerprint] = {}
        self._kept: OrderedDict[str, asyncio.Future[Picture]] = OrderedDict()

    async def of(self, task: Task) -> Picture:
        """The task's picture, drawn anew when it has been forgotten."""
        if task.id not in self._kept:
            loop = asyncio.get_running_loop()
            self._kept[task.id] = loop.run_in_executor(self._painters, draw, task.id, task.order)
        self._kept.move_to_end(task.id)
        picture = await asyncio.shield(self._kept[task.id])
        self._fingerprints[task.id] = Fingerprint(picture.sha256, len(picture.png))
        self._forget_the_oldest()
        return picture

    async def fingerprint(self, task: Task) -> Fingerprint:
        """What the picture would be told by; it is drawn only if it never was."""
        if task.id not in self._fingerprints:
            await self.of(task)
        return self._fingerprints[task.id]

    def close(self) -> None:
        self._painters.shutdown(wait=False, cancel_futures=True)

    def _forget_the_oldest(self) -> None:
        done = [name for name, future in self._kept.items() if future.done()]
        total = sum(len(self._kept[name].result().png) for name in done)
        for name in done[:-1]:
            if len(self._kept) <= MOST_KEPT and total <= MOST_KEPT_BYTES:
                return
            total -= len(self._kept.pop(name).result().png)


def draw(task_id: str, order: Order) -> Picture:
    """A soft gradient in the task's own colours with its prompt, id and size written on it."""
    width, height = order.dimensions
    image = _gradient(task_id, width, height)
    _bubbles(image, task_id)
    _card(image, task_id, order)
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=1)
    return Picture(file.getvalue())


def _gradient(task_id: str, width: int, height: int) -> Image.Image:
    throw = dice("colours", task_id)
    hue = throw.randrange(256)
    corners = Image.new("HSV", (3, 3))
    for place in range(9):
        shade = (
            (hue + throw.randrange(-30, 31)) % 256,
            throw.randrange(90, 180),
            throw.randrange(150, 250),
        )
        corners.putpixel((place % 3, place // 3), shade)
    return corners.convert("RGB").resize((width, height), Image.Resampling.BICUBIC)


def _bubbles(image: Image.Image, task_id: str) -> None:
    throw = dice("bubbles", task_id)
    brush = ImageDraw.Draw(image, "RGBA")
    edge = min(image.size)
    for _ in range(7):
        radius = edge * throw.uniform(0.04, 0.2)
        centre = throw.uniform(0, image.width), throw.uniform(0, image.height * 0.6)
        brush.circle(centre, radius, fill=(255, 255, 255, throw.randrange(18, 46)))


def _card(image: Image.Image, task_id: str, order: Order) -> None:
    brush = ImageDraw.Draw(image, "RGBA")
    edge = min(image.size)
    margin, big, small = edge // 16, edge // 24, edge // 40
    title, caption = ImageFont.load_default(big), ImageFont.load_default(small)
    columns = int((image.width - 4 * margin) / (big * 0.52))
    prompt = textwrap.shorten(without_marks(order.prompt), SHORTENED, placeholder=" …")
    lines = textwrap.wrap(prompt or "(only faults)", columns, max_lines=6, placeholder=" …")
    images = order.input["image_urls"]
    about = f"{task_id}   {image.width} x {image.height}   {order.model}   {order.quality}"
    if isinstance(images, list) and images:
        about += f"   from {len(images)} image(s)"
    top = image.height - 2 * margin - round(big * 1.3 * len(lines)) - 3 * small
    box = (margin, top, image.width - margin, image.height - margin)
    brush.rounded_rectangle(box, radius=margin // 2, fill=(16, 18, 32, 150))
    pen = top + margin // 2
    for line in lines:
        brush.text((2 * margin, pen), line, font=title, fill=(255, 255, 255))
        pen += round(big * 1.3)
    brush.text((2 * margin, pen + small), about, font=caption, fill=(255, 255, 255, 200))
    label = "simulated PoYo"
    brush.text((margin, margin // 2), label, font=caption, fill=(255, 255, 255, 220))
