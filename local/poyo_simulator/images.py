"""The images: drawn by Pillow in the ordered size and format, with the same bytes each time for the
same image of a task."""

import asyncio
import hashlib
import io
import textwrap
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

from PIL import Image, ImageDraw, ImageFont

from local.poyo_simulator.orders import Order
from local.poyo_simulator.prompt_marks import without_marks
from local.poyo_simulator.seeded_random import seeded_random
from local.poyo_simulator.tasks import Task

MAX_CACHED = 32
MAX_CACHED_BYTES = 64 * 1024 * 1024
MAX_DRAWN_CHARS = 220
MASK_STEP = 8  # pixels of an image for each of its mask, which is drawn small and made larger
WRITE_OPTIONS: dict[str, dict[str, int]] = {  # chosen for speed
    "png": {"compress_level": 1},
    "jpeg": {"quality": 85},
    "webp": {"quality": 80, "method": 0},
}


@dataclass(frozen=True)
class ImageDigest:
    """What is kept of an image after it has left the cache."""

    sha256: str
    bytes: int


@dataclass(frozen=True)
class DrawnImage:
    """A drawn image; ``format`` is ``png``, ``jpeg`` or ``webp``."""

    content: bytes
    format: str

    @property
    def content_type(self) -> str:
        return f"image/{self.format}"

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


class ImageCache:
    """Draws images in two threads and keeps the most recently requested ones."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(max_workers=2, thread_name_prefix="draw")
        self._digests: dict[str, ImageDigest] = {}
        self._cached: OrderedDict[str, asyncio.Future[DrawnImage]] = OrderedDict()

    async def get(self, task: Task, number: int = 0) -> DrawnImage:
        """Return one of the task's images; draws it again if it has left the cache."""
        name = task.file_names[number]
        if name not in self._cached:
            loop = asyncio.get_running_loop()
            subject = f"{task.id}-{number}" if number else task.id
            self._cached[name] = loop.run_in_executor(self._executor, draw, subject, task.order)
        self._cached.move_to_end(name)
        image = await asyncio.shield(self._cached[name])
        self._digests[name] = ImageDigest(image.sha256, len(image.content))
        self._evict_oldest()
        return image

    async def digest(self, task: Task, number: int = 0) -> ImageDigest:
        """Return an image's digest; draws the image only if it was never drawn."""
        name = task.file_names[number]
        if name not in self._digests:
            await self.get(task, number)
        return self._digests[name]

    def close(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _evict_oldest(self) -> None:
        done = [name for name, future in self._cached.items() if future.done()]
        total = sum(len(self._cached[name].result().content) for name in done)
        for name in done[:-1]:
            if len(self._cached) <= MAX_CACHED and total <= MAX_CACHED_BYTES:
                return
            total -= len(self._cached.pop(name).result().content)


def draw(subject: str, order: Order) -> DrawnImage:
    """Draw a gradient in colours derived from the subject, with the prompt, the subject and the size
    on it; transparent around the middle if that was ordered."""
    width, height = order.dimensions
    image = _gradient(subject, width, height)
    _bubbles(image, subject)
    _card(image, subject, order)
    if order.transparent:
        image.putalpha(_mask(image.size))
    file = io.BytesIO()
    image.save(file, order.format.upper(), **WRITE_OPTIONS[order.format])
    return DrawnImage(file.getvalue(), order.format)


def _mask(size: tuple[int, int]) -> Image.Image:
    """Opaque in an ellipse with a soft edge, transparent in the corners."""
    small = max(3, size[0] // MASK_STEP), max(3, size[1] // MASK_STEP)
    mask = Image.new("L", small)
    ImageDraw.Draw(mask).ellipse((1, 1, small[0] - 2, small[1] - 2), fill=255)
    return mask.resize(size, Image.Resampling.BILINEAR)


def _gradient(subject: str, width: int, height: int) -> Image.Image:
    rng = seeded_random("colours", subject)
    hue = rng.randrange(256)
    corners = Image.new("HSV", (3, 3))
    for place in range(9):
        shade = (
            (hue + rng.randrange(-30, 31)) % 256,
            rng.randrange(90, 180),
            rng.randrange(150, 250),
        )
        corners.putpixel((place % 3, place // 3), shade)
    return corners.convert("RGB").resize((width, height), Image.Resampling.BICUBIC)


def _bubbles(image: Image.Image, subject: str) -> None:
    rng = seeded_random("bubbles", subject)
    brush = ImageDraw.Draw(image, "RGBA")
    side = min(image.size)
    for _ in range(7):
        radius = side * rng.uniform(0.04, 0.2)
        centre = rng.uniform(0, image.width), rng.uniform(0, image.height * 0.6)
        brush.circle(centre, radius, fill=(255, 255, 255, rng.randrange(18, 46)))


def _card(image: Image.Image, subject: str, order: Order) -> None:
    brush = ImageDraw.Draw(image, "RGBA")
    side = min(image.size)
    margin, big, small = side // 16, side // 24, side // 40
    title_font, caption_font = ImageFont.load_default(big), ImageFont.load_default(small)
    columns = int((image.width - 4 * margin) / (big * 0.52))
    prompt = textwrap.shorten(without_marks(order.prompt), MAX_DRAWN_CHARS, placeholder=" …")
    lines = textwrap.wrap(prompt or "(only faults)", columns, max_lines=6, placeholder=" …")
    images = order.sent.get("image_urls", [])
    caption = f"{subject}   {image.width} x {image.height}   {order.model}"
    caption += f"   {order.input['quality']}" if "quality" in order.input else ""
    if images:
        caption += f"   from {len(images)} image(s)"
    top = image.height - 2 * margin - round(big * 1.3 * len(lines)) - 3 * small
    box = (margin, top, image.width - margin, image.height - margin)
    brush.rounded_rectangle(box, radius=margin // 2, fill=(16, 18, 32, 150))
    y = top + margin // 2
    for line in lines:
        brush.text((2 * margin, y), line, font=title_font, fill=(255, 255, 255))
        y += round(big * 1.3)
    brush.text((2 * margin, y + small), caption, font=caption_font, fill=(255, 255, 255, 200))
    label = "simulated PoYo"
    brush.text((margin, margin // 2), label, font=caption_font, fill=(255, 255, 255, 220))
