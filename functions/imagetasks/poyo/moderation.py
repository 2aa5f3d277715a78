"""Whether an error is a refusal by content policy, which only another prompt or image helps against.

Unknown errors are not. Sources: PoYo's error types and messages, and those of the image APIs behind
it (OpenAI, Azure, Gemini, Volcengine, DashScope, Zhipu), whose errors it passes on.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from imagetasks.poyo.answer import parse_json, text

MAX_DEPTH = 8  # of JSON inside JSON
MAX_TEXT_CHARS = 64_000  # of one text
MAX_CODE_CHARS = 64
# Where codes stand; a text that is the whole error may be one, too.
CODE_KEYS = re.compile(
    r"|type|code|error|error_?(?:code|type|message)|status|(?:finish|block|fail(?:ure)?)?_?reason"
)
ECHO_KEYS = frozenset(
    {"prompt", "input", "request", "param", "params", "image_urls", "callback_url"}
)
# Codes are compared in lower case and without punctuation.
POLICY_CODE = re.compile(
    r"(?:content)?moderation(?:error|failed|blocked|rejected)?|contentpolicy"
    r"|(?:content|responsibleai|usage)?policyviolation(?:error)?|contentfilter(?:ed|error)?"
    r"|(?:content)?safetyviolation|(?:image)?safety|blockedbysafety|(?:image)?prohibitedcontent"
    r"|promptblocked|blocklist|(?:image)?recitation|(?:publicerror)?unsafe(?:content|generation)"
    r"|nsfw(?:content)?(?:detected)?|inappropriatecontent|(?:text|image)riskdetected"
    r"|(?:request|content)moderated|harmcategory[a-z]+"
    r"|(?:(?:in|out)put(?:text|image))?sensitivecontent(?:detected)?|datainspectionfailed|1301"
)
# Of our account or of PoYo's machines: nothing that the user could mend.
OTHER_CODE = re.compile(
    r"authenticationerror|invalidapikey|permissiondeniederror|account(?:deactivated|suspended)"
    r"|insufficient(?:creditserror|quota)|billing(?:hardlimitreached|notactive)|arrearage"
    r"|ratelimit(?:error|exceeded)|toomanyrequests|resourceexhausted|(?:internal)?servererror"
    r"|internalerror|timeout|(?:service)?unavailable|overloaded"
)
NOT_BEFORE, NOT_AFTER = r"(?<![A-Za-z0-9])", r"(?![A-Za-z0-9])"
BLOCKED = (
    r"(?:blocked|suspended|disabled|deactivated|banned|restricted|terminated|locked|frozen|flagged)"
)
ACCOUNT = (
    r"(?:accounts?|organi[sz]ations?|subscriptions?|resources?|projects?|tenants?|workspaces?|teams?|"
    r"deployments?|channels?|api[\W_]?keys?|keys?)"
)
# A part of PoYo's machines that examines prompts and images.
CHECKER = (
    r"(?:(?:content|safety|moderation|nsfw|policy)[ _-])?"
    r"(?:moderation|safety|nsfw|policy|filter|checker|detector|classifier|engine|system)"
)
GAP = r"(?:[\W_]{1,4})"  # bounded, as are the words between, so that no text takes long


def _words(*patterns: str) -> re.Pattern[str]:
    """Whole words in any case; an underscore separates words like a space."""
    return re.compile(f"{NOT_BEFORE}(?:{'|'.join(patterns)}){NOT_AFTER}", re.IGNORECASE)


def _up_to(count: int) -> str:
    """The gap between two words, with at most `count` other words in it."""
    return rf"(?:{GAP}[a-z]{{1,20}}){{0,{count}}}?{GAP}"


# Of the account behind our key, or of the connection: these come first.
NOT_THE_USERS = (
    _words(
        rf"{ACCOUNT}{GAP}(?:(?:temporarily|permanently){GAP})?{BLOCKED}",
        rf"{ACCOUNT}{_up_to(2)}(?:has|have|is|was|were|are){_up_to(3)}{BLOCKED}",
        rf"{ACCOUNT}{GAP}(?:(?:has|have){GAP})?violat(?:es|ed)",
        rf"(?:suspended|disabled|deactivated|banned|blocked){GAP}{ACCOUNT}",
        rf"(?:access|users?){GAP}(?:(?:has|have|is|was|were|been){GAP}){{1,2}}"
        r"(?:suspended|disabled|deactivated|banned|terminated|revoked)",
        rf"unsupported{GAP}(?:countr(?:y|ies)|regions?|territor(?:y|ies))"
        rf"|(?:in|for|from){GAP}your{GAP}(?:country|region|territory)",
        rf"organi[sz]ation{GAP}verification|payment{GAP}required",
        rf"quota|billing|rate{GAP}?limit(?:ed|s)?|insufficient{GAP}(?:credits?|balance|funds)",
        rf"connection{GAP}(?:is{GAP})?(?:reset|closing|refused|closed|aborted|error|failed|timed{GAP}out)",
        rf"timed?{GAP}?outs?|deadline{GAP}exceeded|econn[a-z]+|bad{GAP}gateway|overloaded",
        rf"(?:service|system|server|api|filter|model|checker){GAP}(?:is{GAP})?"
        rf"(?:(?:currently|temporarily){GAP})?(?:unavailable|unreachable|busy|down)",
        rf"temporarily{GAP}unavailable|internal{GAP}(?:server{GAP})?error",
        # a part that examines did not run
        rf"{CHECKER}[ _-](?:(?:service|model|api|client|endpoint|request|server) )?(?:(?:has|is|was) )?"
        r"(?:returned (?:status|error|an error|[45][0-9]{2})|failed (?:to|with (?:status|error|code))"
        r"|crashed|closed|exited|died|not (?:found|loaded|ready|responding))",
        r"(?:failed|unable|could not|cannot) (?:to )?"
        rf"(?:call|load|reach|connect to|contact|start) (?:the |an? |our )?{CHECKER}",
        rf"no{GAP}(?:such{GAP}host|healthy{GAP}upstream)|out{GAP}of{GAP}memory|upstream{GAP}connect"
        rf"|dial{GAP}tcp|(?:memory|thread|type){GAP}safety|too{GAP}(?:large|big){GAP}for",
    ),
    re.compile(
        r"(?:账号|帐号|账户|帐户|组织|企业|资源|密钥|渠道|令牌)[^，。；]{0,16}"
        r"(?:封|冻结|停用|禁用|暂停|限制|锁定|审核|欠费|异常|违规|违反)"
        r"|余额不足|额度不足|欠费|超时|服务(?:暂时)?不可用|(?:系统|服务)繁忙"
        r"|用户(?:已经?)?被?(?:封禁|禁用|停用)(?!词)|地区[^，。；]{0,8}(?:不支持|限制|无法使用)"
        r"|(?:服务|接口|系统|模块)(?:调用|请求|连接|响应|内部)?(?:异常|失败|错误|故障|崩溃)"
        r"|连接(?:失败|被?重置|断开|错误)|网络(?:错误|异常)"
    ),
)
RULES = r"(?:polic(?:y|ies)|guidelines?|rules|terms|standards?|guardrails?)"
POLICY = (
    _words(
        rf"content{GAP}?(?:management{GAP})?polic(?:y|ies)|contentpolicy\w{{0,40}}",
        rf"(?:usage|safety|moderation|acceptable{GAP}use|community){GAP}{RULES}",
        rf"violat(?:es?|ed|ing|ions?){_up_to(4)}{RULES}",
        rf"safety{GAP}(?:systems?|filters?|filtering|checks?|checker|reasons?|concerns?|violations?"
        rf"|settings?|review|guardrails?)",
        rf"(?:blocked|rejected|refused|flagged|filtered|stopped){_up_to(4)}"
        r"(?:safety|moderation|disallowed|inappropriate|unsafe|harmful|sensitive)",
        rf"(?:content|image|prompt|text|input|output|failed|fails|passed?|by){GAP}"
        rf"(?:(?:the|our){GAP})?moderation",
        rf"moderation{GAP}?(?:blocked|rejected|flagged|filters?|violations?|refused|systems?|review)",
        rf"content{GAP}?filter(?:s|ed|ing)?|responsible{GAP}?ai",
        rf"prohibited{GAP}(?:content|words?|use|terms?|material)",
        rf"(?:sensitive|unsafe|inappropriate|harmful|explicit|sexual|adult|violent|offensive|illegal"
        rf"|disallowed){GAP}(?:content|words?|information|topics?|materials?|language|prompts?"
        rf"|images?|text)(?!{GAP}(?:formats?|sizes?|types?|urls?|dimensions?|encoding|length|files?))",
        rf"terms{GAP}of{GAP}(?:service|use){GAP}violations?|nudity",
        rf"nsfw|not{GAP}safe{GAP}for{GAP}work",
    ),
    re.compile(
        r"违规|违禁|不合规|不适宜|审核|审查(?:不|未)|涉黄|涉嫌|色情|不当内容|不适当|不安全"
        r"|内容(?:政策|安全|策略)|安全(?:系统|策略|过滤|审查|风控)"
        r"|违反[^，。；]{0,16}(?:政策|规定|规范|准则|条款|法律|法规|规则|策略)"
        r"|敏感(?:词|内容|信息|字|图|话题|人物|主题)|(?:包含|含有|涉及)[^，。；]{0,8}敏感"
        r"|禁止的?内容"
    ),
)
CODE_IN_TEXT = re.compile(r"[A-Za-z][A-Za-z_]{9,60}")  # long enough to be no word of a sentence
URL = re.compile(r"https?://[^\s\"'<>]+", re.IGNORECASE)
# Quoted words repeat what was sent; an apostrophe inside a word is no quote.
QUOTED = re.compile(
    r"(?<!\w)'[^']{1,20000}?'(?!\w)|\"[^\"]{1,20000}\"|`[^`]{1,20000}`"
    r"|“[^“”]{1,20000}”|‘[^‘’]{1,20000}’|「[^「」]{1,20000}」|『[^『』]{1,20000}』|«[^«»]{1,20000}»"
    # an echo that was cut off
    r"|(?<=prompt )[\"'“‘「].*|(?<=prompt: )[\"'“‘「].*",
    re.DOTALL | re.IGNORECASE,
)
MIN_ECHO_CHARS = 8  # of a prompt's beginning, that count as its echo


def is_moderation_error(error: Any, *, prompt: str = "") -> bool:
    """Whether `error` (a text, JSON, or JSON inside a text) is a refusal by content policy.

    Structured codes decide first, then phrases about the account or the connection, then phrases of
    policy, all outside of what repeats `prompt`.
    """
    codes, texts = _collect(error, prompt)
    if any(map(POLICY_CODE.fullmatch, codes)):
        return True
    if any(map(OTHER_CODE.fullmatch, codes)):
        return False
    spoken = [_without_echoes(each, prompt) for each in texts]
    if _any_in(NOT_THE_USERS, spoken):
        return False
    named = (_code(found[0]) for each in spoken for found in CODE_IN_TEXT.finditer(each))
    return _any_in(POLICY, spoken) or any(map(POLICY_CODE.fullmatch, named))


def has_policy_code(error: Any, *, prompt: str = "") -> bool:
    """Whether a structured code in `error` names content policy."""
    return any(map(POLICY_CODE.fullmatch, _collect(error, prompt)[0]))


def _collect(error: Any, prompt: str) -> tuple[set[str], list[str]]:
    """The codes and the sentences in `error` that are not the prompt itself."""
    leaves = [leaf for leaf in _leaves(error, "", 0) if leaf[1].strip() != prompt.strip()]
    codes = {
        _code(value)
        for key, value in leaves
        if CODE_KEYS.fullmatch(key) and len(value) <= MAX_CODE_CHARS
    }
    return codes, [value for _, value in leaves]


def _leaves(value: Any, key: str, depth: int) -> Iterator[tuple[str, str]]:
    """Every text and number in `value` with its key, JSON inside texts included."""
    if depth > MAX_DEPTH:
        return
    if isinstance(value, dict):
        for name, child in value.items():
            if name.lower() not in ECHO_KEYS:
                yield from _leaves(child, name.lower(), depth + 1)
    elif isinstance(value, list):
        for child in value:
            yield from _leaves(child, key, depth + 1)
    elif isinstance(value, str):
        nested = parse_json(value.encode(errors="replace")) if value.lstrip()[:1] in "{[" else None
        if isinstance(nested, dict | list):
            yield from _leaves(nested, key, depth + 1)
        else:
            yield key, text(value)[:MAX_TEXT_CHARS]
    elif isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**9:
        yield key, str(value)


def _code(value: str) -> str:
    return re.sub(r"[\W_]+", "", value).lower()


def _without_echoes(sentence: str, prompt: str) -> str:
    """The sentence without the prompt, URLs and quotations, unless a quotation is a code."""
    kept = URL.sub(" ", _without_prompt(sentence, prompt))
    return QUOTED.sub(
        lambda found: found[0] if POLICY_CODE.fullmatch(_code(found[0])) else " ", kept
    )


def _without_prompt(sentence: str, prompt: str) -> str:
    """The sentence without the prompt, also where only its beginning is repeated or its quotes and line
    ends are escaped. A prompt without words that could mislead stays, so that a prompt of one common
    word takes no sense away."""
    spellings = [" ".join(each.split()) for each in _spellings(prompt)]
    if not _any_in((*POLICY, *NOT_THE_USERS), spellings[:1]):
        return sentence
    begin = re.compile(
        "|".join(re.escape(each[:MIN_ECHO_CHARS]) for each in spellings), re.IGNORECASE
    )
    said, parts = " ".join(sentence.split()), []
    while found := begin.search(said):
        rest = said[found.start() :]
        same = max(_common_chars(rest[: len(each)].lower(), each.lower()) for each in spellings)
        parts.append(said[: found.start()])
        said = rest[max(same, 1) :]
    return " ".join([*parts, said])


def _common_chars(one: str, other: str) -> int:
    """How many characters both begin with."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((n for n, (a, b) in pairs if a != b), min(len(one), len(other)))


def _spellings(prompt: str) -> Sequence[str]:
    """The prompt as it is, and as JSON, Python and HTML write it inside a text."""
    as_json = (json.dumps(prompt, ensure_ascii=each)[1:-1] for each in (True, False))
    return prompt, *as_json, repr(prompt)[1:-1], html.escape(prompt)


def _any_in(patterns: Sequence[re.Pattern[str]], texts: Sequence[str]) -> bool:
    return any(pattern.search(each) for each in texts for pattern in patterns)
