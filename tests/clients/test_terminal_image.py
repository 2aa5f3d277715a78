"""Images in terminals: what each protocol sends is the image, and only terminals that show it get it."""

from __future__ import annotations

import base64
import io
import os
import re
import sys
import threading
from pathlib import Path
from typing import IO

import pytest
from PIL import Image

from imagetasks_client.cli import terminal_image
from tests.fixtures.images import png

COLOURS = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255))
VARIABLES = ("TERM", "TERM_PROGRAM", "TMUX", "KITTY_WINDOW_ID", "LC_TERMINAL")


class Screen(io.StringIO):
    """A stdout that is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return Screen()


def shown_on(
    screen: IO[str], path: Path, monkeypatch: pytest.MonkeyPatch, stdin: IO[str] | None = None
) -> bool:
    """Show the image there. Pytest's own stdout comes back between a fixture and its test."""
    terminal_image._answers_sixel.cache_clear()
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdin", stdin or io.StringIO())
        patched.setattr(sys, "stdout", screen)
        return terminal_image.show(path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "boat.png").write_bytes(png((1024, 683)))
    return tmp_path / "boat.png"


def drawing() -> Image.Image:
    """Columns of four colours and a transparent last row; its height is no multiple of six."""
    made = Image.new("RGBA", (40, 15))
    for x in range(40):
        for y in range(14):
            made.putpixel((x, y), (*COLOURS[x // 10], 255))
    return made


def seen(data: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(data))).convert("RGBA")


def pixels(image: Image.Image) -> bytes:
    return image.convert("RGBA").tobytes()


def test_kitty_gets_the_png_in_pieces_that_it_takes() -> None:
    noise = Image.frombytes("RGBA", (64, 64), os.urandom(4 * 64 * 64))
    pieces = re.findall(r"\x1b_G(.*?);(.*?)\x1b\\", terminal_image.kitty(noise))
    assert [control for control, _ in pieces[:2]] == ["a=T,f=100,m=1", "m=1"]
    assert pieces[-1][0] == "m=0"
    assert all(len(data) <= 4096 for _, data in pieces)
    assert pixels(seen("".join(data for _, data in pieces))) == pixels(noise)


def test_iterm2_gets_the_png() -> None:
    found = re.fullmatch(r"\x1b\]1337;File=inline=1;.*?:(.*)\x07", terminal_image.iterm2(drawing()))
    assert found
    assert pixels(seen(found[1])) == pixels(drawing())


def test_sixel_draws_every_pixel_and_white_where_the_image_is_transparent() -> None:
    expected = Image.new("RGB", (40, 15), "white")
    expected.paste(drawing(), mask=drawing().getchannel("A"))
    assert pixels(decoded(terminal_image.sixel(drawing()))) == pixels(expected)


def percent(text: str) -> int:
    return round(int(text) * 2.55)


def decoded(text: str) -> Image.Image:
    """The image that a terminal draws for sixel data."""
    size = re.match(r'\x1bPq"1;1;(\d+);(\d+)', text)
    assert size
    image, palette = (
        Image.new("RGB", (int(size[1]), int(size[2]))),
        dict[str, tuple[int, int, int]](),
    )
    x, top, colour = 0, 0, ""
    token = re.compile(r"#(\d+);2;(\d+);(\d+);(\d+)|#(\d+)|!(\d+)(.)|([$-])|([?-~])")
    for found in token.finditer(text[size.end() : -2]):
        number, red, green, blue, chosen, count, repeated, control, single = found.groups()
        if number:
            palette[number] = (percent(red), percent(green), percent(blue))
        elif chosen:
            colour = chosen
        elif control:
            x, top = 0, top + (6 if control == "-" else 0)
        else:
            end = x + int(count or 1)
            for row in range(6):
                if ord(repeated or single) - 63 >> row & 1:
                    image.paste(palette[colour], (x, top + row, end, top + row + 1))
            x = end
    return image


@pytest.mark.parametrize(
    ("variables", "begin"),
    [
        ({"KITTY_WINDOW_ID": "1"}, "\x1b_G"),
        ({"TERM": "xterm-kitty"}, "\x1b_G"),
        ({"TERM_PROGRAM": "ghostty"}, "\x1b_G"),
        ({"TERM_PROGRAM": "iTerm.app"}, "\x1b]1337"),
        ({"LC_TERMINAL": "iTerm2"}, "\x1b]1337"),
    ],
)
def test_terminal_that_names_itself_gets_its_protocol_and_a_small_image(
    variables: dict[str, str],
    begin: str,
    screen: Screen,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert shown_on(screen, path, monkeypatch)
    drawn = screen.getvalue()
    assert drawn.startswith(begin)
    data = "".join(re.findall(r"[;:]([A-Za-z0-9+/=]+)[\x1b\x07]", drawn))
    assert max(seen(data).size) == terminal_image.PIXELS


@pytest.mark.parametrize("variables", [{}, {"TMUX": "x", "KITTY_WINDOW_ID": "1"}])
def test_other_terminal_and_a_multiplexer_get_nothing(
    variables: dict[str, str], screen: Screen, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert not shown_on(screen, path, monkeypatch)
    assert screen.getvalue() == ""


def test_file_that_is_no_image_is_not_drawn(
    screen: Screen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KITTY_WINDOW_ID", "1")
    (tmp_path / "text.png").write_text("no image")
    assert not shown_on(screen, tmp_path / "text.png", monkeypatch)
    assert screen.getvalue() == ""


@pytest.mark.parametrize(("attributes", "shown"), [("62;4;22", True), ("62;14;22", False)])
def test_terminal_is_asked_whether_it_draws_sixel(
    attributes: str, shown: bool, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    master, slave = os.openpty()
    written = bytearray()

    def answer() -> None:
        while not written.endswith(b"\x1b[c"):
            written.extend(os.read(master, 1))
        os.write(master, f"\x1b[?{attributes}c".encode())
        while shown and b"\x1b\\" not in written:
            written.extend(os.read(master, 65536))

    terminal_side = threading.Thread(target=answer, daemon=True)
    terminal_side.start()
    with os.fdopen(slave, "r+b", buffering=0) as raw, io.TextIOWrapper(raw) as terminal:
        assert shown_on(terminal, path, monkeypatch, stdin=terminal) is shown
        terminal_side.join(30)
    os.close(master)

    assert not terminal_side.is_alive()
    assert (b"\x1bPq" in written) is shown
