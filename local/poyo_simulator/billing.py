"""The price of an image and its size in pixels."""

from decimal import Decimal

RESOLUTIONS = ("1K", "2K", "4K")
RATIOS = ("1:1", "2:3", "3:2", "4:3", "3:4", "4:5", "5:4", "16:9", "9:16", "21:9")
CREDITS = {
    "low": {"1K": Decimal(2), "2K": Decimal(4), "4K": Decimal(8)},
    "medium": {"1K": Decimal("8.48"), "2K": Decimal("8.96"), "4K": Decimal("16.16")},
    "high": {"1K": Decimal("33.76"), "2K": Decimal("35.52"), "4K": Decimal("64.16")},
}
TRUE_4K_RATIOS = ("16:9", "9:16", "21:9")
MAX_SIDE = 3840
STEP = 16
ONE_K = {
    "1:1": (1024, 1024),
    "3:2": (1536, 1024),
    "4:3": (1344, 1008),
    "5:4": (1280, 1024),
    "16:9": (1536, 864),
    "21:9": (1568, 672),
}
LONG_SIDE = {"2K": 2048, "4K": MAX_SIDE}


def parse_custom_size(size: str) -> tuple[int, int] | None:
    """Return width and height of a ``WIDTHxHEIGHT`` size, ``None`` for any other text."""
    width, _, height = size.partition("x")
    if not (width.isascii() and width.isdigit() and height.isascii() and height.isdigit()):
        return None
    return int(width[:6]), int(height[:6])


def custom_size_error(sides: tuple[int, int]) -> str | None:
    """Return why PoYo rejects an image of these dimensions, ``None`` if it accepts them."""
    long, short = max(sides), min(sides)
    rules = (
        (short > 0 and all(side % STEP == 0 for side in sides), "edges must be multiples of 16"),
        (long <= MAX_SIDE, "the longest edge must be at most 3840"),
        (long <= 3 * short, "the aspect ratio must be at most 3:1"),
        (655_360 <= long * short <= 8_294_400, "it must have 655360 to 8294400 pixels"),
    )
    return next((message for holds, message in rules if not holds), None)


def billed_resolution(size: str, resolution: str) -> str:
    """Return the resolution that is charged: ``auto`` is 1K, and most 4K sizes are charged as 2K."""
    if size == "auto":
        return "1K"
    if resolution != "4K":
        return resolution
    sides = parse_custom_size(size)
    true_4k = max(sides) == MAX_SIDE if sides else size in TRUE_4K_RATIOS
    return "4K" if true_4k else "2K"


def dimensions(size: str, billed: str) -> tuple[int, int]:
    """Return width and height in pixels of the delivered image."""
    if size == "auto":
        return ONE_K["1:1"]
    if sides := parse_custom_size(size):
        return sides
    left, right = (int(part) for part in size.split(":"))
    if left < right:
        width, height = dimensions(f"{right}:{left}", billed)
        return height, width
    if billed == "1K":
        return ONE_K[size]
    long = LONG_SIDE[billed]
    return long, round(long * right / left / STEP) * STEP
