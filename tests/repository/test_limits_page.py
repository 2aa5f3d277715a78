"""docs/limits.md states the bounds of the code; its times are pinned in test_documented_times.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagetasks.api import (
    credit_amount,
    field_errors,
    pagination,
    request,
    token_request,
    usage_request,
)
from imagetasks.api.routes import tasks as task_routes
from imagetasks.aws import upload_bucket
from imagetasks.limits import Limits
from imagetasks.outbound.download import DownloadLimits
from imagetasks.poyo.input_words import MAX_ERRORS
from imagetasks.poyo.model_catalog import model
from imagetasks.tasks import image_format
from imagetasks.tasks.task import MAX_FILES

PAGE = (Path(__file__).parents[2] / "docs" / "limits.md").read_text()
MIB = 1024 * 1024
FAMILY = model("gpt-image-2")
STATED = [
    f"{request.MAX_BODY_BYTES // 1024} KiB of JSON",
    f"{FAMILY.prompt_max:,} characters for `gpt-image-2`",
    f"{model('gpt-image-2.5-flare').prompt_max:,} for the 2.5 family",
    f"{FAMILY.references[1]} for the `gpt-image` family",
    f"{field_errors.MAX_METADATA} strings; names of 64, values of {field_errors.MAX_VALUE_CHARS}",
    f"{field_errors.MAX_URL_CHARS:,} characters; https",
    f"wrong fields that one response names | {MAX_ERRORS} |",
    f"{pagination.MAX_TASK_IDS} ids",
    f"{pagination.MAX_PAGE_SIZE} tasks and about {task_routes.MAX_PAGE_BYTES // MIB} MiB",
    f"days of `GET /v1/usage` | {usage_request.MAX_DAYS} |",
    f"{upload_bucket.MAX_BYTES // MIB} MiB, {image_format.MAX_PIXELS // 1_000_000} million pixels",
    f"{DownloadLimits().max_bytes // MIB} MiB, {image_format.MAX_PIXELS // 1_000_000} million pixels",
    f"images of a task | {MAX_FILES} |",
    f"{credit_amount.MAX_CREDITS:,} credits, four decimals",
    f"`models` ({token_request.MAX_MODELS} at most)",
    f"{Limits().window_submits} in {Limits().window_s} seconds",
    f"{60 // Limits().window_s * Limits().window_submits} a minute",
]


@pytest.mark.parametrize("text", STATED)
def test_page_states_the_bound_of_the_code(text: str) -> None:
    assert text in PAGE
