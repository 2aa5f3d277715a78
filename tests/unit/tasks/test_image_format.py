"""Image formats are identified by content: complete PNG, JPEG and WebP files pass, nothing else does."""

import io
import os
import re
import time
from typing import BinaryIO, cast

import pytest
from PIL import Image

from imagetasks.tasks.image_format import MAX_PIXELS, identify
from tests.fixtures.images import (
    HEIGHT,
    INVALID_IMAGES,
    VALID_IMAGES,
    WIDTH,
    jpeg,
    png,
    png_with_size,
)


def format_and_size(content: bytes) -> tuple[str, int, int]:
    found = identify(cast(BinaryIO, io.BytesIO(content)))
    return found.content_type, found.width, found.height


@pytest.mark.parametrize(("content_type", "content"), VALID_IMAGES.values(), ids=VALID_IMAGES)
def test_valid_image_is_identified_with_its_dimensions(content_type: str, content: bytes) -> None:
    assert format_and_size(content) == (content_type, WIDTH, HEIGHT)


@pytest.mark.parametrize("content", INVALID_IMAGES.values(), ids=INVALID_IMAGES)
def test_any_other_file_raises_value_error(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        format_and_size(content)


@pytest.mark.parametrize(("content_type", "content"), VALID_IMAGES.values(), ids=VALID_IMAGES)
def test_truncated_image_raises_value_error(content_type: str, content: bytes) -> None:
    lengths = {*range(64), len(content) // 2, *range(len(content) - 20, len(content))}

    for length in (each for each in lengths if each < len(content)):
        with pytest.raises(ValueError, match=r"."):
            format_and_size(content[:length])


def test_image_with_more_pixels_than_the_limit_raises_value_error() -> None:
    assert format_and_size(png_with_size(8000, 5000)) == ("image/png", 8000, 5000)
    assert MAX_PIXELS == 8000 * 5000
    with pytest.raises(ValueError, match="pixels"):
        format_and_size(png_with_size(8000, 5001))


@pytest.mark.parametrize("count", [1, 2, 6, 7, 8, 9, 4096])
def test_jpeg_with_fill_bytes_before_its_markers_is_identified(count: int) -> None:
    original, fill = jpeg((HEIGHT, WIDTH)), b"\xff" * count
    for marker in (b"\xff\xe0", b"\xff\xdb", b"\xff\xc0"):
        filled = re.sub(re.escape(marker), lambda found: fill + found[0], original, count=1)

        assert Image.open(io.BytesIO(filled)).size == (HEIGHT, WIDTH)
        assert format_and_size(filled) == ("image/jpeg", HEIGHT, WIDTH)


def test_endless_fill_bytes_are_rejected_within_a_second() -> None:
    started = time.monotonic()
    with pytest.raises(ValueError, match="dimensions"):
        format_and_size(b"\xff\xd8" + b"\xff" * 20_000_000 + b"\xff\xd9")

    assert time.monotonic() - started < 1


def test_random_bytes_raise_value_error_and_no_other_error() -> None:
    heads = [content[:12] for _, content in VALID_IMAGES.values()]
    for n in range(3000):
        noise = heads[n % len(heads)][: n % 13] + os.urandom(n % 97)
        with pytest.raises(ValueError, match=r"."):
            format_and_size(noise)


def test_file_is_read_from_its_beginning() -> None:
    file = cast(BinaryIO, io.BytesIO(png()))
    file.seek(17)

    assert identify(file).width == WIDTH
