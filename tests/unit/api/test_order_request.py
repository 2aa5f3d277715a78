"""What a caller may ask for: wrong fields are named before a credit is spent."""

from __future__ import annotations

import json
import time
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imagetasks.api import order_request
from imagetasks.errors import InvalidOrder
from imagetasks.poyo import models
from imagetasks.tasks.image_reference import is_upload
from local.poyo_simulator.orders import read_order
from local.poyo_simulator.responses import PoyoError

GOOD: dict[str, Any] = {"prompt": "A lighthouse"}
URL = "https://example.com/a.png"


def parsed(body: object) -> order_request.CreateTaskRequest:
    return order_request.parse(body if isinstance(body, bytes) else json.dumps(body).encode())


def wrong(body: object) -> dict[str, str]:
    """What is wrong with it, by pointer."""
    with pytest.raises(InvalidOrder) as invalid:
        parsed(body)
    return {each["pointer"]: each["detail"] for each in invalid.value.problems}


def of(model: str = "gpt-image-2", **wish: object) -> dict[str, object]:
    return {"model": model, "input": GOOD | wish}


def test_the_smallest_order_has_poyos_defaults() -> None:
    wish = order_request.poyo_input(parsed(of()))

    assert wish == GOOD | {"quality": "low", "size": "auto", "resolution": "1K"}


def test_a_full_order_is_passed_on_as_it_is() -> None:
    full = {"quality": "high", "size": "16:9", "resolution": "4K", "image_urls": [URL]}
    request = parsed(
        of("gpt-image-2-edit", **full) | {"metadata": {"a": "b"}, "max_credits": 64.16}
    )

    assert order_request.poyo_input(request) == GOOD | full
    assert request.metadata == {"a": "b"}
    assert models.estimate_credits(order_request.poyo_input(request)) == Decimal("64.16")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (b"", ""),
        (b"\xff\xfe", ""),
        (b"null", ""),
        (b"[]", ""),
        (b'"x"', ""),
        (b"[" * 100_000, ""),
        (b'{"model":' + b"1" * 5000 + b"}", ""),
        ({"input": GOOD}, "/model"),
        ({"model": "gpt-image-2"}, "/input"),
        ({"model": 7, "input": GOOD}, "/model"),
        ({"model": None, "input": GOOD}, "/model"),
        (of("gpt-image-1"), "/model"),
        ({"model": "gpt-image-2", "input": []}, "/input"),
        (of(prompt=""), "/input/prompt"),
        (of(prompt=" \n\t"), "/input/prompt"),
        (of(prompt=7), "/input/prompt"),
        (of(prompt=None), "/input/prompt"),
        (of(prompt="x" * 20_001), "/input/prompt"),
        (of(prompt="a \ud83d b"), "/input/prompt"),
        (of(quality="ultra"), "/input/quality"),
        (of(quality="LOW"), "/input/quality"),
        (of(quality=None), "/input/quality"),
        (of(resolution="8K"), "/input/resolution"),
        (of(resolution="2k"), "/input/resolution"),
        (of(size="7:5"), "/input/size"),
        (of(size="1024x1024"), "/input/size"),
        (of(size=1024), "/input/size"),
        (of("gpt-image-2-edit"), "/input/image_urls"),
        (of(image_urls=URL), "/input/image_urls"),
        (of(image_urls=[URL] * 17), "/input/image_urls"),
        (of(image_urls=[URL, 7]), "/input/image_urls/1"),
        (of(image_urls=["https://example.com/" + "x" * 2048]), "/input/image_urls/0"),
        (of() | {"metadata": {"a": 7}}, "/metadata/a"),
        (of() | {"metadata": {"a": "x" * 257}}, "/metadata/a"),
        (of() | {"metadata": {str(n): "x" for n in range(17)}}, "/metadata"),
        (of() | {"max_credits": 0}, "/max_credits"),
        (of() | {"max_credits": -1}, "/max_credits"),
        (of() | {"max_credits": "5"}, "/max_credits"),
        (of() | {"max_credits": True}, "/max_credits"),
        (of() | {"max_credits": 1.99}, "/max_credits"),
        (b'{"model":"gpt-image-2","input":{"prompt":"x"},"max_credits":NaN}', "/max_credits"),
    ],
    ids=range(41),
)
def test_what_is_wrong_is_pointed_at(body: object, pointer: str) -> None:
    problems = wrong(body)

    assert list(problems) == [pointer]
    assert problems[pointer]


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/a.png",
        "data:image/png;base64,AAAA",
        "ftp://example.com/a.png",
        "upload://a",
        "//example.com/a.png",
        "example.com/a.png",
        "https://localhost/a.png",
        "https://host/a.png",
        "https://printer.local/a.png",
        "https://127.0.0.1/a.png",
        "https://10.0.0.1./a.png",
        "https://[::1]/a.png",
        "https://user:pass@example.com/a.png",
        "https://example.com@evil/a.png",
        "https://example.com/a\nb.png",
        "https://example.com/a b.png",
        "https://example.com/\u00fc.png",
        " https://example.com/a.png",
        "https://[broken/a.png",
        "https://",
        "",
    ],
)
def test_an_image_address_that_poyo_cannot_fetch_is_refused(url: str) -> None:
    assert list(wrong(of(image_urls=[URL, url]))) == ["/input/image_urls/1"]


@pytest.mark.parametrize(
    ("field", "meant"),
    [
        ("aspect_ratio", "size"),
        ("ratio", "size"),
        ("images", "image_urls"),
        ("image", "image_urls"),
        ("image_url", "image_urls"),
        ("Prompt", "prompt"),
        ("qualty", "quality"),
        ("resolutoin", "resolution"),
    ],
)
def test_an_unknown_field_is_refused_with_the_one_that_was_meant(field: str, meant: str) -> None:
    problems = wrong(of(**{field: "x"}))

    assert problems[f"/input/{field}"].endswith(f"did you mean {meant}?")


def test_what_has_no_likeness_is_only_told_what_is_known() -> None:
    assert wrong(of(zzz=1))["/input/zzz"].endswith("image_urls")
    assert "metadata" in wrong(of() | {"zzz": 1})["/zzz"]


def test_every_wrong_field_is_named_at_once() -> None:
    problems = wrong(of(quality="x", resolution="9K", image_urls=["ftp://x"]))

    assert set(problems) == {"/input/quality", "/input/resolution", "/input/image_urls/0"}


def test_the_callers_own_words_are_not_repeated() -> None:
    canary = "canary-words"
    bodies: list[object] = [
        of(prompt=[canary]),
        of(quality=canary),
        of(size=canary),
        of(image_urls=[f"ftp://{canary}"]),
        of(canary),
        of() | {"metadata": {"a": [canary]}},
        canary.encode(),
    ]
    for body in bodies:
        assert canary not in "".join(wrong(body).values())


def test_a_flood_of_unknown_fields_is_answered_briefly_and_at_once() -> None:
    flood = {f"field{n}": n for n in range(20_000)} | {"f" * 500_000: 1}
    began = time.process_time()

    with pytest.raises(InvalidOrder) as invalid:
        parsed({"model": "gpt-image-2", "input": GOOD | flood})

    assert time.process_time() - began < 3
    assert len(json.dumps(list(invalid.value.problems))) < 20_000


@pytest.mark.parametrize("credit", [2, 2.0, 1e9])
def test_a_limit_that_is_kept_is_no_problem(credit: float) -> None:
    assert parsed(of() | {"max_credits": credit}).max_credits == credit


def test_a_prompt_may_be_long_and_in_any_script() -> None:
    prompt = "灯塔🗼" * 5000

    assert parsed(of(prompt=prompt)).input.prompt == prompt


# Every model, every rule


MODELS = list(models.MODELS)
UPLOAD = f"upload://{'a' * 26}"


def for_model(model: str, **wish: object) -> dict[str, object]:
    """An order that this model takes, but for what `wish` does to it."""
    needed = {"image_urls": [URL]} if models.MODELS[model].images_min else {}
    return of(model, **needed | wish)


def sized(size: str, resolution: str = "2K") -> dict[str, object]:
    return {"size": size, "resolution": resolution}


TAKEN: list[dict[str, object]] = [
    {},
    {"quality": "low"},
    {"quality": "medium"},
    {"quality": "high"},
    {"resolution": "1K"},
    {"resolution": "2K"},
    {"resolution": "4K"},
    *(sized(size, each) for size in ("auto", *models.RATIOS) for each in ("1K", "2K", "4K")),
    sized("1024x1024"),
    sized("1024x1024", "4K"),
    sized("3840x2160", "4K"),  # the most pixels, the longest edge
    sized("2160x3840", "4K"),
    sized("3840x1280"),  # 3:1
    sized("1280x3840"),
    sized("1024x640"),  # the fewest pixels
    sized("640x1024"),
    sized("2880x2880", "4K"),
    {"prompt": "x"},
    {"prompt": "x" * 20_000},
    {"prompt": "🗼" * 20_000},
    {"prompt": "e\u0301" * 10_000},
    {"prompt": "\u0000\u202e x"},
    {"image_urls": [URL]},
    {"image_urls": [URL] * 16},
    {"image_urls": [UPLOAD]},
    {"image_urls": [UPLOAD, URL, UPLOAD]},
    {"image_urls": ["https://example.com/" + "x" * 2028]},
    {"image_urls": ["https://xn--bcher-kva.example/a?b=c&d=%20#e"]},
]
REFUSED: list[tuple[dict[str, object], str]] = [
    ({"quality": "ultra"}, "quality"),
    ({"quality": "xhigh"}, "quality"),
    ({"quality": ""}, "quality"),
    ({"resolution": "8K"}, "resolution"),
    ({"resolution": ""}, "resolution"),
    ({"resolution": 2}, "resolution"),
    (sized("1024x1024", "1K"), "size"),  # custom needs 2K
    ({"size": "1024x1024"}, "size"),  # and 1K is the default
    (sized("1025x1024"), "size"),  # multiples of 16
    (sized("1024x1032"), "size"),
    (sized("3856x2160", "4K"), "size"),  # longest edge
    (sized("2160x3856", "4K"), "size"),
    (sized("3840x1264"), "size"),  # beyond 3:1
    (sized("1264x3840"), "size"),
    (sized("1008x640"), "size"),  # one step below the fewest pixels
    (sized("1024x624"), "size"),
    (sized("3840x2176", "4K"), "size"),  # one step above the most
    (sized("2896x2880", "4K"), "size"),
    (sized("0x0"), "size"),
    (sized("16x16"), "size"),
    (sized("1024x1024x1"), "size"),
    (sized("1024*1024"), "size"),
    (sized("1:2"), "size"),
    (sized("16:10"), "size"),
    (sized(""), "size"),
    (sized(" auto"), "size"),
    ({"prompt": ""}, "prompt"),
    ({"prompt": "\u2003\n"}, "prompt"),
    ({"prompt": "x" * 20_001}, "prompt"),
    ({"prompt": "🗼" * 20_001}, "prompt"),
    ({"prompt": ["x"]}, "prompt"),
    ({"image_urls": [URL] * 17}, "image_urls"),
    ({"image_urls": {}}, "image_urls"),
    ({"image_urls": None}, "image_urls"),
    ({"image_urls": ["https://example.com/" + "x" * 2029]}, "image_urls/0"),
    ({"image_urls": [URL, "upload://"]}, "image_urls/1"),
    ({"image_urls": [f"{UPLOAD}a"]}, "image_urls/0"),
    ({"image_urls": [UPLOAD[:-1]]}, "image_urls/0"),
    ({"image_urls": [UPLOAD.upper()]}, "image_urls/0"),
    ({"image_urls": [f"{UPLOAD}/../b"]}, "image_urls/0"),
    ({"image_urls": ["data:image/png;base64,AAAA"]}, "image_urls/0"),
]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("wish", TAKEN, ids=range(len(TAKEN)))
def test_what_poyo_takes_is_taken(model: str, wish: dict[str, object]) -> None:
    body = for_model(model, **wish)

    request = parsed(body)

    assert request.input.model_dump(exclude_unset=True) == body["input"]
    assert (
        models.estimate_credits(order_request.poyo_input(request))
        in models.CREDITS_PER_IMAGE.values()
    )


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("wish", "about"), REFUSED, ids=range(len(REFUSED)))
def test_what_poyo_would_refuse_or_bill_and_spoil_is_refused(
    model: str, wish: dict[str, object], about: str
) -> None:
    assert list(wrong(for_model(model, **wish))) == [f"/input/{about}"]


def test_an_edit_needs_an_image_and_says_so() -> None:
    for body in (of("gpt-image-2-edit"), of("gpt-image-2-edit", image_urls=[])):
        problems = wrong(body)
        assert problems == {
            "/input/image_urls": "gpt-image-2-edit needs at least one image address"
        }
    assert parsed(of("gpt-image-2-edit", image_urls=[UPLOAD])).input.image_urls == [UPLOAD]
    assert "image_urls" not in order_request.poyo_input(parsed(of(image_urls=[])))


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    ("field", "meant"),
    [
        ("aspect_ratio", "size"),
        ("aspectRatio", "size"),
        ("ratio", "size"),
        ("sizes", "size"),
        ("image_size", "size"),
        ("image", "image_urls"),
        ("images", "image_urls"),
        ("image_url", "image_urls"),
        ("imageUrls", "image_urls"),
        ("input_urls", "image_urls"),
        ("prompts", "prompt"),
        ("qualities", "quality"),
        ("resolutions", "resolution"),
        ("n", None),
        ("seed", None),
        ("background", None),
        ("output_format", None),
        ("mask_url", "image_urls"),
        ("", None),
    ],
)
def test_no_field_is_dropped_in_silence_whatever_the_model(
    model: str, field: str, meant: str | None
) -> None:
    problems = wrong(for_model(model, **{field: "x"}))

    assert list(problems) == [f"/input/{field}"]
    said = problems[f"/input/{field}"]
    assert said.startswith(
        "unknown field, allowed are prompt, quality, size, resolution, image_urls"
    )
    assert said.endswith(f"did you mean {meant}?") if meant else "did you mean" not in said


@pytest.mark.parametrize("field", ["prompt", "size", "quality", "image_urls", "n", "input_"])
def test_a_field_beside_the_input_is_refused_too(field: str) -> None:
    assert "unknown field" in wrong(of() | {field: "x"})[f"/{field}"]


@pytest.mark.parametrize("quality", ["low", "medium", "high"])
@pytest.mark.parametrize(
    ("resolution", "size"), [("1K", "1:1"), ("2K", "1:1"), ("4K", "1:1"), ("4K", "16:9")]
)
def test_a_limit_is_kept_to_the_hundredth_of_a_credit(
    quality: str, resolution: str, size: str
) -> None:
    wish = {"quality": quality, "resolution": resolution, "size": size}
    price = models.estimate_credits(wish)

    assert parsed(of(**wish) | {"max_credits": float(price)}).max_credits == float(price)
    problems = wrong(of(**wish) | {"max_credits": float(price - Decimal("0.01"))})
    assert problems == {"/max_credits": f"this order is estimated at {price} credits"}


# Whatever we take, PoYo takes


def often[T](usual: list[T], odd: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Mostly one of `usual`, so that most orders are right in most fields."""
    return st.integers(0, 9).flatmap(lambda n: odd if n == 9 else st.sampled_from(usual))


ANYTHING: st.SearchStrategy[Any] = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.just([])
)
EDGES = st.integers(30, 250).map(lambda n: 16 * n) | st.integers(0, 5000)
CUSTOM = st.builds("{}x{}".format, EDGES, EDGES)
SIZES = (
    st.sampled_from(["auto", *models.RATIOS])
    | CUSTOM
    | often(["1:1"], st.text("0123456789x:", max_size=9) | ANYTHING)
)
HOSTS = st.text("abcxyz0129.-:@[]%é ", max_size=20)
ADDRESSES = often(
    [URL, UPLOAD, "https://a.example/b?c=d"],
    st.builds("{}://{}/{}".format, st.sampled_from(["https", "http", "upload"]), HOSTS, HOSTS)
    | ANYTHING,
)
WISHES = st.fixed_dictionaries(
    {"prompt": often(["A boat", "🗼"], st.text(max_size=30) | ANYTHING)},
    optional={
        "quality": often(["low", "medium", "high"], ANYTHING),
        "size": SIZES,
        "resolution": often(["1K", "2K", "4K"], ANYTHING),
        "image_urls": often([[URL], [UPLOAD, URL]], st.lists(ADDRESSES, max_size=3) | ANYTHING),
    },
)
BODIES = st.fixed_dictionaries(
    {"model": often(MODELS, ANYTHING), "input": WISHES},
    optional={"max_credits": often([100, 2.5], ANYTHING)},
)
met: Counter[bool] = Counter()


@settings(max_examples=1500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(BODIES)
def check_that_poyo_takes_it(body: dict[str, Any]) -> None:
    try:
        request = parsed(body)
    except InvalidOrder:
        met[False] += 1
        return
    met[True] += 1
    wish = order_request.poyo_input(request)
    if "image_urls" in wish:
        wish["image_urls"] = [URL if is_upload(each) else each for each in wish["image_urls"]]
    try:
        theirs = read_order({"model": request.model, "input": wish}, None)
    except PoyoError as refused:
        pytest.fail(f"PoYo refuses {wish}: {refused}")
    known = {**theirs.input, "image_urls": theirs.input["image_urls"] or None}
    assert {name: value for name, value in known.items() if value is not None} == wish
    assert theirs.credits == models.estimate_credits(wish)


def test_whatever_we_take_poyo_takes_for_the_same_price() -> None:
    met.clear()

    check_that_poyo_takes_it()

    assert met[True] > 100, "most of what was tried was refused: nothing is shown by that"
    assert met[False] > 100
