"""Image formats are identified by content: PNG, JPEG and WebP images that are complete pass, whatever
follows them, and nothing else does."""

import io
import os
import re
from typing import BinaryIO, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from imagetasks.tasks.image_format import BLOCK_BYTES, MAX_PIXELS, identify, measure
from tests.fixtures.images import (
    HEIGHT,
    HTML,
    INVALID_IMAGES,
    TRAILERS,
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


def measured(content: bytes) -> tuple[str, int, int, int]:
    found, size = measure(cast(BinaryIO, io.BytesIO(content)))
    return found.content_type, found.width, found.height, size


@pytest.mark.parametrize("trailer", TRAILERS.values(), ids=TRAILERS)
@pytest.mark.parametrize(("content_type", "content"), VALID_IMAGES.values(), ids=VALID_IMAGES)
def test_image_ends_where_its_format_says_whatever_follows(
    content_type: str, content: bytes, trailer: bytes
) -> None:
    expected = (content_type, WIDTH, HEIGHT, len(content))

    assert measured(content) == expected
    assert measured(content + trailer) == expected


IMAGES = st.sampled_from([content for _, content in VALID_IMAGES.values()])


@given(IMAGES, st.binary(max_size=300))
def test_any_trailer_leaves_the_image_as_it_is(content: bytes, trailer: bytes) -> None:
    assert measured(content + trailer) == measured(content)


@given(IMAGES, st.data())
def test_any_truncation_is_rejected(content: bytes, data: st.DataObject) -> None:
    length = data.draw(st.integers(0, len(content) - 1))

    with pytest.raises(ValueError, match=r"."):
        measured(content[:length])


@given(IMAGES, st.data())
def test_any_damage_gives_a_size_within_the_file_or_value_error(
    content: bytes, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, len(content)))
    damage = data.draw(st.binary(max_size=12))
    damaged = content[:start] + damage + content[start + data.draw(st.integers(0, 12)) :]

    try:
        *_, size = measured(damaged)
    except ValueError:
        return
    assert 0 < size <= len(damaged)


@pytest.mark.parametrize("at", [-3, -2, -1, 0, 1, 2])
def test_marker_across_two_blocks_is_found(at: int) -> None:
    original = jpeg()
    scan = original.index(b"\xff\xda") + 14
    filler = b"\x00" * (BLOCK_BYTES + at - len(original) + 1)
    content = original[:scan] + filler + original[scan:]

    assert content.index(b"\xff\xd9", scan) == BLOCK_BYTES + at - 1
    assert measured(content + HTML) == ("image/jpeg", WIDTH, HEIGHT, len(content))


class CountingFile(io.BytesIO):
    """A file that counts the bytes that are read from it."""

    bytes_read = 0

    def read(self, size: int | None = -1, /) -> bytes:
        content = super().read(size)
        self.bytes_read += len(content)
        return content


HOSTILE = {
    "empty png chunks": (png()[:33], b"\0\0\0\0prVt\0\0\0\0"),
    "empty jpeg segments": (jpeg()[:2], b"\xff\xfe\x00\x02"),
    "empty jpeg scans": (jpeg()[:-2], b"\xff\xda\x00\x02"),
    "jpeg fill bytes": (jpeg()[:-2], b"\xff"),
    "jpeg scan without an end": (jpeg()[:-2], b"\xff\x00"),
    "jpeg restart markers": (jpeg()[:-2], b"\xff\xd0\xff\xd7"),
    "empty webp chunks": (
        b"RIFF\xf8\xff\xff\x00" + VALID_IMAGES["lossy webp"][1][8:],
        b"prVt\0\0\0\0",
    ),
}


@pytest.mark.parametrize(("head", "piece"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_file_is_read_once_at_most(head: bytes, piece: bytes) -> None:
    content = head + piece * (16 * 1024 * 1024 // len(piece))
    file = CountingFile(content)

    with pytest.raises(ValueError, match=r"."):
        measure(cast(BinaryIO, file))

    assert file.bytes_read <= len(content)


def test_fill_bytes_up_to_the_end_are_read_once() -> None:
    file = CountingFile(b"\xff\xd8" + b"\xff" * 20_000_000 + b"\xff\xd9")

    with pytest.raises(ValueError, match="dimensions"):
        measure(cast(BinaryIO, file))

    assert file.bytes_read <= len(file.getvalue())


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
