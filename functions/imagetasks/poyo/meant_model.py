"""The model that is meant by an id of another seller: `gpt-image-1`, `dall-e-3`, `openai/gpt-image-2`."""

from __future__ import annotations

import difflib
from collections.abc import Collection

from imagetasks.poyo.input_words import MAX_NAME_CHARS

SIMILAR = 0.75  # less is another model: `z-image` is not `gpt-image-2`
# Models that only OpenAI has, and the family that took their place.
SUCCESSORS = dict.fromkeys(("dall-e-2", "dall-e-3", "chatgpt-image-latest"), "gpt-image")


def meant_model(name: str, offered: Collection[str]) -> str | None:
    """The id in `offered` that is nearest to `name`: the same one, the shortest that begins with it, the
    longest that it begins with (a dated version), or a similar one. None if there is none."""
    own = name[: 2 * MAX_NAME_CHARS].lower().rpartition("/")[2]
    own = SUCCESSORS.get(own, own)
    if own in offered:
        return own
    longer = sorted((each for each in offered if each.startswith(f"{own}-")), key=len)
    shorter = sorted((each for each in offered if own.startswith(f"{each}-")), key=len)
    similar = difflib.get_close_matches(own, offered, 1, SIMILAR)
    return next(iter([*longer[:1], *shorter[-1:], *similar]), None)
