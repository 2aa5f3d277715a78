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
    "contentpolicy",
    "Request Moderated",
    "Content Moderated",
    "Prompt blocked: HARM_CATEGORY_SEXUALLY_EXPLICIT",
    "Terms of service violation: prompt",
    "Possible nudity detected in the input image",
    "图片内容不合规",
    "输入内容含有不适宜的信息",
    # words of outages and accounts beside a refusal
    "The safety system returned: blocked due to content policy",
    "Error in prompt: content policy violation",
    "Cannot start generation: content policy violation",
    "Moderation failed with reason: sexual content, see our content policy",
    "Your prompt failed to pass moderation",
    "User prompt was flagged by moderation",
    "Illegal content in this region of the image",
    "The upstream rejected the prompt due to content policy",
    "系统检测到异常内容，涉嫌违规",
    "用户使用禁用词，违反内容政策",
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
    "timeout in content moderation",
    "ratelimit of content moderation",
    "moderation service returned 502",
    "Moderation request failed with status 500",
    "Safety checker crashed",
    "CUDA out of memory in safety_checker",
    "failed to load content filter model",
    "Unable to reach moderation API",
    "grpc: moderation client connection is closing",
    "upstream connect error: moderation-service.prod.svc.cluster.local",
    'Post "http://moderation:8080/check": dial tcp: lookup moderation: no such host',
    "No healthy upstream for nsfw-detector",
    "thread safety violation in worker",
    "Image too large for moderation",
    "审核接口异常",
    "内容安全服务调用失败",
    "违规检测服务异常，请稍后重试",
    "Your access was terminated due to violation of our policies.",
    "Your API access has been suspended after repeated content policy violations",
    "User is banned: violation of terms of service",
    "Unsupported region: content policy of this region forbids the service",
    "This model is not available in your country under our content policy",
    "Access to this model requires organization verification under our usage policies",
    "Payment required: your plan does not include moderation",
    "令牌因违规被禁用",
    "用户已被封禁：违规",
    "您所在的地区因内容政策限制无法使用",
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
        ('Worker lost: A SIGN "NSFW"', 'a sign "nsfw"'),
        (r"Worker lost: a sign \"nsfw\"\nthe content policy", 'a sign "nsfw"\nthe content policy'),
        (r"Worker lost: \u00e9t\u00e9 and the content policy", "été and the content policy"),
        ("Worker lost: a &quot;b&quot; &amp; the content policy", 'a "b" & the content policy'),
        (r"""Worker lost: it\'s "b", the content policy""", """it's "b", the content policy"""),
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
