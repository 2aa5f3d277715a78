"""Shows an image in terminals that can: kitty's graphics protocol, iTerm2's inline images, sixel."""

from __future__ import annotations

import base64
import contextlib
import io
import os
import re
import select
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from PIL import Image, UnidentifiedImageError

PIXELS = 480  # the longest side that is shown
COLOURS = 255
CHUNK = 4096  # kitty takes no longer piece of base64


def show(path: Path) -> bool:
    """Draw the image on stdout. False if this terminal cannot, or the file is no image."""
    if not sys.stdout.isatty():
        return False
    protocol = _protocol(os.environ)
    if protocol is None and not _answers_sixel():
        return False
    try:
        with Image.open(path) as image:
            image.thumbnail((PIXELS, PIXELS))
            drawn = ENCODERS[protocol or "sixel"](image.convert("RGBA"))
    except (OSError, UnidentifiedImageError):
        return False
    sys.stdout.write(f"{drawn}\n")
    sys.stdout.flush()
    return True


def kitty(image: Image.Image) -> str:
    """PNG in base64, in pieces of at most 4096 characters; `m=1` says that more follow."""
    data = _png(image)
    pieces = [data[start : start + CHUNK] for start in range(0, len(data), CHUNK)]
    last = len(pieces) - 1
    return "".join(
        f"\x1b_G{'a=T,f=100,' if n == 0 else ''}m={int(n < last)};{piece}\x1b\\"
        for n, piece in enumerate(pieces)
    )


def iterm2(image: Image.Image) -> str:
    """OSC 1337 with the whole file in base64."""
    return f"\x1b]1337;File=inline=1;preserveAspectRatio=1:{_png(image)}\x07"


def sixel(image: Image.Image) -> str:
    """DEC's six rows a band: each colour of a band draws its pixels, repeats are counted."""
    flat = Image.new("RGB", image.size, "white")
    flat.paste(image, mask=image.getchannel("A"))
    indexed = flat.quantize(COLOURS)
    palette, pixels = (
        indexed.getpalette() or [],
        indexed.tobytes(),
    )  # a byte, the colour's number, each
    width, height = indexed.size
    out = [f'\x1bPq"1;1;{width};{height}']
    for colour in range(len(palette) // 3):
        red, green, blue = (round(part / 2.55) for part in palette[3 * colour : 3 * colour + 3])
        out.append(f"#{colour};2;{red};{green};{blue}")
    for top in range(0, height, 6):
        rows = [pixels[y * width : (y + 1) * width] for y in range(top, min(top + 6, height))]
        for colour in sorted(set(b"".join(rows))):
            bits = [
                sum(1 << n for n, each in enumerate(column) if each == colour)
                for column in zip(*rows, strict=True)
            ]
            out.append(f"#{colour}{_repeated(bits)}$")
        out.append("-")
    return "".join(out) + "\x1b\\"


ENCODERS = {"kitty": kitty, "iterm2": iterm2, "sixel": sixel}


def _repeated(bits: list[int]) -> str:
    """The characters of a row of bits; four and more equal ones as a count."""
    text = "".join(chr(63 + each) for each in bits)
    return re.sub(r"(.)\1{3,}", lambda run: f"!{len(run[0])}{run[1]}", text)


def _png(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def _protocol(environment: Mapping[str, str]) -> str | None:
    """The protocol that the terminal's variables name."""
    program, term = environment.get("TERM_PROGRAM", ""), environment.get("TERM", "")
    if environment.get("TMUX") or term.startswith(("screen", "tmux")):
        return None  # a multiplexer would show the bytes
    if environment.get("KITTY_WINDOW_ID") or "kitty" in term or program == "ghostty":
        return "kitty"
    if program in ("iTerm.app", "WezTerm") or environment.get("LC_TERMINAL") == "iTerm2":
        return "iterm2"
    return None


@cache
def _answers_sixel(wait_s: float = 0.2) -> bool:
    """Whether the terminal lists 4 among its primary device attributes (DA1). It is asked once."""
    if sys.platform == "win32" or not sys.stdin.isatty():
        return False
    import termios  # noqa: PLC0415  # Windows has neither
    import tty  # noqa: PLC0415

    descriptor = sys.stdin.fileno()
    with contextlib.suppress(termios.error, OSError):
        before = termios.tcgetattr(descriptor)
        try:
            tty.setcbreak(descriptor)
            os.write(sys.stdout.fileno(), b"\x1b[c")
            answer = b""
            while select.select([descriptor], [], [], wait_s)[0] and not answer.endswith(b"c"):
                answer += os.read(descriptor, 1)
        finally:
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
        found = re.search(rb"\x1b\[\?([\d;]+)c", answer)
        return found is not None and b"4" in found[1].split(b";")[1:]
    return False
