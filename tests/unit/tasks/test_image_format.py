"""Told by its bytes: three kinds of picture pass, whole; nothing else does."""

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


def read(content: bytes) -> tuple[str, int, int]:
    found = identify(cast(BinaryIO, io.BytesIO(content)))
    return found.content_type, found.width, found.height


@pytest.mark.parametrize(("content_type", "content"), VALID_IMAGES.values(), ids=VALID_IMAGES)
def test_a_real_picture_is_recognised_with_its_size(content_type: str, content: bytes) -> None:
    assert read(content) == (content_type, WIDTH, HEIGHT)


@pytest.mark.parametrize("content", INVALID_IMAGES.values(), ids=INVALID_IMAGES)
def test_nothing_else_is_a_picture(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read(content)


@pytest.mark.parametrize(("content_type", "content"), VALID_IMAGES.values(), ids=VALID_IMAGES)
def test_a_picture_cut_anywhere_is_none(content_type: str, content: bytes) -> None:
    lengths = {*range(64), len(content) // 2, *range(len(content) - 20, len(content))}

    for length in (each for each in lengths if each < len(content)):
        with pytest.raises(ValueError, match=r"."):
            read(content[:length])


def test_pixels_are_counted_up_to_the_bound() -> None:
    assert read(png_with_size(8000, 5000)) == ("image/png", 8000, 5000)
    assert MAX_PIXELS == 8000 * 5000
    with pytest.raises(ValueError, match="pixels"):
        read(png_with_size(8000, 5001))


@pytest.mark.parametrize("count", [1, 2, 6, 7, 8, 9, 4096])
def test_a_jpeg_may_have_fill_bytes_before_its_markers(count: int) -> None:
    whole, fill = jpeg((HEIGHT, WIDTH)), b"\xff" * count
    for marker in (b"\xff\xe0", b"\xff\xdb", b"\xff\xc0"):
        filled = re.sub(re.escape(marker), lambda found: fill + found[0], whole, count=1)

        assert Image.open(io.BytesIO(filled)).size == (HEIGHT, WIDTH)
        assert read(filled) == ("image/jpeg", HEIGHT, WIDTH)


def test_fill_bytes_without_an_end_are_given_up_soon() -> None:
    began = time.monotonic()
    with pytest.raises(ValueError, match="dimensions"):
        read(b"\xff\xd8" + b"\xff" * 20_000_000 + b"\xff\xd9")

    assert time.monotonic() - began < 1


def test_noise_is_never_a_picture_and_never_another_error() -> None:
    heads = [content[:12] for _, content in VALID_IMAGES.values()]
    for n in range(3000):
        noise = heads[n % len(heads)][: n % 13] + os.urandom(n % 97)
        with pytest.raises(ValueError, match=r"."):
            read(noise)


def test_where_the_file_stands_does_not_matter() -> None:
    file = cast(BinaryIO, io.BytesIO(png()))
    file.seek(17)

    assert identify(file).width == WIDTH
