"""The image models that PoYo sells, from `models.json`: what each accepts, what it costs. The file is
made by `python -m scripts.make_models` and read at the first use."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fnmatch import fnmatchcase
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

from imagetasks.poyo import custom_size, input_rules, pricing
from imagetasks.poyo.input_schema import Problem, addresses, place, problems
from imagetasks.poyo.input_words import MAX_ERRORS, Schema
from imagetasks.poyo.meant_size import SIZE_FIELDS, meant_size
from imagetasks.poyo.pricing import Price

FILE = Path(__file__).with_name("models.json")
POINTER = "/input"  # of an input in an order
SIZES = tuple(f"{POINTER}/{each}" for each in (*SIZE_FIELDS, "resolution"))
JPEG = {"jpg": "jpeg"}  # the other name of a format


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One model. An `image_input` is what an order has in `input`; null and an empty array stand for an
    absent field. All but `errors` need a valid one."""

    model_id: str
    category: str
    title: str
    description: str
    tags: Sequence[str]
    input_schema: Schema
    examples: Sequence[Mapping[str, Any]]
    billing: Mapping[str, Any]
    rules: Mapping[str, Any]
    timing: Mapping[str, Any]
    facts: Mapping[str, str]  # see model_facts.digests

    @property
    def fields(self) -> Mapping[str, Schema]:
        """The schema of each field of the input, by its name."""
        found: Mapping[str, Schema] = self.input_schema["properties"]
        return found

    @property
    def prompt_max(self) -> int:
        """How many characters a prompt may have."""
        return int(self.fields["prompt"]["maxLength"])

    @property
    def references(self) -> tuple[int, int]:
        """How many reference images an order needs, and how many it may have."""
        field = self.fields.get("image_urls")
        if field is None:
            return 0, 0
        needed = "image_urls" in self.input_schema.get("required", ())
        return int(field.get("minItems", 1)) if needed else 0, int(field["maxItems"])

    def defaults(self) -> dict[str, Any]:
        """What PoYo takes for each field that an order leaves out, where that is known."""
        return {name: each["default"] for name, each in self.fields.items() if "default" in each}

    def present(self, image_input: Mapping[str, Any]) -> dict[str, Any]:
        """The fields that are there: null stands for an absent one, and so does an empty array where
        the field is an array."""
        return {
            name: each
            for name, each in image_input.items()
            if each is not None and not (each == [] and self._is_array(name))
        }

    def _is_array(self, name: str) -> bool:
        return bool(self.fields.get(name, {}).get("type") == "array")

    def effective(self, image_input: Mapping[str, Any]) -> dict[str, Any]:
        """The input with the defaults of what it leaves out: what applies, not what is sent."""
        return {**self.defaults(), **self.present(image_input)}

    def errors(
        self, image_input: Mapping[str, Any], elsewhere: Mapping[str, str] | None = None
    ) -> list[Problem]:
        """What PoYo would refuse, or drop and charge for: pointers below `/input` and sentences, at most
        MAX_ERRORS. Of an address only the type is checked. `elsewhere`: see input_schema.problems."""
        given = self.present(image_input)
        at = place(POINTER, "input", self.input_schema)
        found = list(islice(problems(self.input_schema, given, at, elsewhere), MAX_ERRORS))
        named = [self._named(each) for each in found]
        if len(named) < MAX_ERRORS:
            invalid = frozenset(name for each in found for name in _field(each["pointer"]))
            checks = self.rules.get("checks", ())
            named += input_rules.broken(checks, self.effective(given), POINTER, invalid)
        return [self._with_meant_size(each, given) for each in named[:MAX_ERRORS]]

    def _with_meant_size(self, problem: Problem, given: Mapping[str, Any]) -> Problem:
        """The problem; that of a size in another spelling says which one is meant."""
        if problem["pointer"] not in SIZES or "did you mean" in problem["detail"]:
            return problem
        [name] = _field(problem["pointer"])
        meant = meant_size(self.fields, given.get(name), given.keys() - {name})
        return (
            {**problem, "detail": f"{problem['detail']}; did you mean {meant}?"}
            if meant
            else problem
        )

    def _named(self, problem: Problem) -> Problem:
        """The problem; that of a missing reference image says which model needs one."""
        if not problem["detail"].startswith("`image_urls` is missing"):
            return problem
        return {**problem, "detail": f"{self.model_id} needs at least one image address"}

    def addresses(self, image_input: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """The pointer and the text of each address of an image, of a mask, or of anything else."""
        return addresses(self.input_schema, self.present(image_input), POINTER)

    def price(self, image_input: Mapping[str, Any]) -> Price:
        """The credits that PoYo is expected to charge, or the most that it can: so it is by the rule
        `bound`, for a model whose price differs between PoYo's publications."""
        found = pricing.price(
            self.billing,
            self.effective(image_input),
            billed=self.billed_resolution(image_input),
            images=self.images(image_input),
            each=bool(self.rules.get("charged_each")),
        )
        return replace(found, exact=False) if self.rules.get("bound") else found

    def billed_resolution(self, image_input: Mapping[str, Any]) -> str | None:
        """The resolution that PoYo charges for; None for a model that has no resolution."""
        rule = self.rules.get("billed_resolution")
        return custom_size.billed_resolution(rule, self.effective(image_input))

    def typical_seconds(self, image_input: Mapping[str, Any]) -> int | None:
        """Seconds that such an order usually takes, from the order to the stored image; None where that
        is not known, as for several images."""
        if self.images(image_input) != 1:
            return None
        made = {"resolution": self.billed_resolution(image_input)}
        values, found = {**self.effective(image_input), **made}, self.timing.get("seconds")
        for field in self.timing.get("by", ()):  # a table with these fields as its axes
            found = (found or {}).get(values.get(field))
        return found

    def images(self, image_input: Mapping[str, Any]) -> int:
        """How many images the order asks for."""
        return int(self.effective(image_input).get("n", 1))

    def output_format(self, image_input: Mapping[str, Any]) -> str | None:
        """`png`, `jpeg` or `webp`, or None where the caller cannot choose."""
        chosen = self.effective(image_input).get("output_format")
        return None if chosen is None else JPEG.get(chosen, str(chosen))


def _field(pointer: str) -> Sequence[str]:
    """The name of the field of the input that a pointer names, or names something in."""
    return pointer.split("/")[2:3]


def read(text: str) -> dict[str, Model]:
    """The models of a file like `models.json`, by id. Prices are exact decimals."""
    items = json.loads(text, parse_float=Decimal)["items"]
    return {each["model_id"]: Model(**each) for each in items}


@cache
def models() -> Mapping[str, Model]:
    """All bundled models by id."""
    return read(FILE.read_text(encoding="utf-8"))


def model(model_id: str) -> Model:
    """The model with this id. Raises KeyError."""
    return models()[model_id]


def is_known(model_id: str) -> bool:
    """Whether a bundled model has this id."""
    return model_id in models()


def allowed(patterns: str, among: Mapping[str, Model] | None = None) -> Mapping[str, Model]:
    """The models whose ids match one of `patterns`, which are separated by commas or spaces; `*` stands
    for any characters: `gpt-image-*`."""
    wanted = patterns.replace(",", " ").split()
    return {
        name: each
        for name, each in (models() if among is None else among).items()
        if any(fnmatchcase(name, pattern) for pattern in wanted)
    }
