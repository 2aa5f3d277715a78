"""Which errors are told as a refusal by content policy: only those that another prompt can mend."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagetasks.poyo.moderation import has_policy_code, is_moderation_error
from tests.fixtures import poyo_responses

# Errors of PoYo and of the image APIs behind it, as people report them.
REFUSALS: tuple[Any, ...] = (
    "The prompt violates our content policy",
    "content policy",
    "content_policy_violation",
    "blocked by SAFETY system",
    "NSFW",
    "Potential NSFW content was detected in one or more images.",
    "Your request was rejected by the safety system. safety_violations=[violence].",
    "Your prompt was flagged as disallowed",
    "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.",
    "Image generation blocked [IMAGE_SAFETY]: blocked due to safety policy violation",
    "The response is blocked, as it may violate our policies. Send feedback to your account team.",
    "Error code: 400 - {'error': {'message': 'x', 'code': 'moderation_blocked'}}",
    "finishReason: IMAGE_PROHIBITED_CONTENT",
    "PROHIBITED_CONTENT",
    "ResponsibleAIPolicyViolation",
    "OutputImageSensitiveContentDetected",
    "Input data may contain inappropriate content.",
    "It may violate community guidelines. Violations may result in your account being suspended.",
    "Image did not pass moderation",
    "sensitive words",
    poyo_responses.CHINESE_MODERATION_ERROR,
    '{"a": {"b": ["\\u5ba1\\u6838"]}}',
    "该请求可能违反了我们的内容政策",
    "内容违规",
    "输入内容包含敏感信息，审核不通过",
    "提示词含有敏感词",
    "图片触发了安全系统",
    "生成内容违反平台规范",
    {"code": "moderation_blocked", "message": "no"},
    {"error": {"code": "content_filter", "innererror": {"code": "x"}}},
    {"error": {"code": "400", "innererror": {"code": "ResponsibleAIPolicyViolation"}}},
    {"finishReason": "SAFETY"},
    {"error": {"code": 1301, "message": "x"}},
    {"type": "content_moderation_error"},
    [{"error_message": json.dumps({"error": {"code": "content_policy_violation"}})}],
)
OTHER_ERRORS: tuple[Any, ...] = (
    "",
    "Server exception",
    "Please enter a prompt and try again",
    poyo_responses.BLOCKED_RESOURCE,
    "photosensitive-filter-3 connection reset",
    "sensitive-content connection reset",
    "safety system timed out",
    "content moderation service unavailable",
    "Your account has been suspended for violating our content policy",
    "Account deactivated: content policy",
    "Your API key was blocked for violating the usage policies",
    "The organization is temporarily disabled due to a policy violation",
    "您的账号因违规被封禁",
    "资源已被暂停：违反内容政策",
    "审核服务超时",
    "参数大小写敏感",
    "Illegal image format",
    "Your request was flagged: worker 3",
    "safety glasses model not loaded",
    "insufficient quota",
    "prompt 'a nsfw sign' could not be rendered: worker 3 died",
    'Failed to draw "a poster about content policy"',
    'Could not read the prompt "a nsfw sig',
    "Could not fetch https://files.example/content-policy/nsfw.png",
    {"error": {"type": "server_error", "message": "safety system broke"}},
    {"code": "insufficient_quota", "message": "content policy"},
    {"message": "no", "input": {"prompt": "content policy"}},
    None,
    7,
    "[" * 100_000,
)


@pytest.mark.parametrize("error", REFUSALS, ids=lambda error: str(error)[:40])
def test_refusal_by_content_policy_is_recognised(error: Any) -> None:
    assert is_moderation_error(error) is True


@pytest.mark.parametrize("error", OTHER_ERRORS, ids=lambda error: str(error)[:40])
def test_error_that_another_prompt_cannot_mend_is_no_refusal(error: Any) -> None:
    assert is_moderation_error(error) is False


@pytest.mark.parametrize(
    ("error", "prompt"),
    [
        ("Worker lost: A  nsfw sign at dusk", "a nsfw sign\nat dusk"),
        ("Worker lost: a nsfw sign at d...", "a nsfw sign at dusk"),
        ("nsfw", "nsfw"),
        ({"error_message": "nsfw"}, "nsfw"),
        ("Not drawn: the content policy, the content policy", "the content policy"),
    ],
)
def test_prompt_that_an_error_repeats_is_ignored(error: Any, prompt: str) -> None:
    assert is_moderation_error(error) is True
    assert is_moderation_error(error, prompt=prompt) is False


@pytest.mark.parametrize(
    ("error", "prompt"),
    [
        ("Your prompt 'nsfw cat' violates our content policy", "nsfw cat"),
        ("Content policy: rejected", "policy"),
        ("It violates our content policy", "your account has been blocked"),
        (
            "your account has been blocked violates our content policy",
            "your account has been blocked",
        ),
    ],
)
def test_refusal_that_repeats_the_prompt_stays_a_refusal(error: str, prompt: str) -> None:
    assert is_moderation_error(error, prompt=prompt) is True


def test_code_of_content_policy_is_told_from_words() -> None:
    assert has_policy_code({"type": "content_moderation_error"})
    assert not has_policy_code({"message": "content policy"})


@settings(max_examples=200, deadline=None)
@given(
    error=st.recursive(
        st.none() | st.integers() | st.text(),
        lambda values: st.lists(values) | st.dictionaries(st.text(), values),
    ),
    prompt=st.text(),
)
def test_any_error_is_classified(error: Any, prompt: str) -> None:
    assert is_moderation_error(error, prompt=prompt) in (True, False)
