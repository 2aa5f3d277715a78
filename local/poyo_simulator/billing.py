"""What a picture costs and how large it becomes."""

from decimal import Decimal

RESOLUTIONS = ("1K", "2K", "4K")
RATIOS = ("1:1", "2:3", "3:2", "4:3", "3:4", "4:5", "5:4", "16:9", "9:16", "21:9")
CREDITS = {
    "low": {"1K": Decimal(2), "2K": Decimal(4), "4K": Decimal(8)},
    "medium": {"1K": Decimal("8.48"), "2K": Decimal("8.96"), "4K": Decimal("16.16")},
    "high": {"1K": Decimal("33.76"), "2K": Decimal("35.52"), "4K": Decimal("64.16")},
}
TRUE_4K_RATIOS = ("16:9", "9:16", "21:9")
LONGEST_EDGE = 3840
STEP = 16
ONE_K = {
    "1:1": (1024, 1024),
    "3:2": (1536, 1024),
    "4:3": (1344, 1008),
    "5:4": (1280, 1024),
    "16:9": (1536, 864),
    "21:9": (1568, 672),
}
LONG_EDGE = {"2K": 2048, "4K": LONGEST_EDGE}


def custom(size: str) -> tuple[int, int] | None:
    """The edges of a ``WIDTHxHEIGHT`` size, ``None`` for any other word."""
    width, _, height = size.partition("x")
    if not (width.isascii() and width.isdigit() and height.isascii() and height.isdigit()):
        return None
    return int(width[:6]), int(height[:6])


def custom_trouble(edges: tuple[int, int]) -> str | None:
    """Why PoYo makes no picture of these edges; ``None`` when it does."""
    long, short = max(edges), min(edges)
    rules = (
        (short > 0 and all(edge % STEP == 0 for edge in edges), "edges must be multiples of 16"),
        (long <= LONGEST_EDGE, "the longest edge must be at most 3840"),
        (long <= 3 * short, "the aspect ratio must be at most 3:1"),
        (655_360 <= long * short <= 8_294_400, "it must have 655360 to 8294400 pixels"),
    )
    return next((words for holds, words in rules if not holds), None)


def billed(size: str, resolution: str) -> str:
    """The resolution that is paid for: ``auto`` is 1K, and 4K is often only 2K."""
    if size == "auto":
        return "1K"
    if resolution != "4K":
        return resolution
    edges = custom(size)
    true_4k = max(edges) == LONGEST_EDGE if edges else size in TRUE_4K_RATIOS
    return "4K" if true_4k else "2K"


def dimensions(size: str, billed_resolution: str) -> tuple[int, int]:
    """Width and height in pixels of the picture that is delivered."""
    if size == "auto":
        return ONE_K["1:1"]
    if edges := custom(size):
        return edges
    left, right = (int(part) for part in size.split(":"))
    if left < right:
        width, height = dimensions(f"{right}:{left}", billed_resolution)
        return height, width
    if billed_resolution == "1K":
        return ONE_K[size]
    long = LONG_EDGE[billed_resolution]
    return long, round(long * right / left / STEP) * STEP
