"""`python -m scripts.make_models_page [--check]`: make `docs/models.md` from the bundled catalogue: what
each model takes, what it costs, and its examples."""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from imagetasks.poyo import pricing
from imagetasks.poyo.input_words import described, one_of
from imagetasks.poyo.model_catalog import Model, models
from imagetasks.tasks.credit_price import USD_PER_CREDIT

PAGE = Path(__file__).parents[1] / "docs" / "models.md"
COMMAND = "python -m scripts.make_models_page"
HEAD = f"""\
# Image models
<!-- Made by `{COMMAND}` from functions/imagetasks/poyo/models.json: do not edit. -->

{{count}} image models of PoYo are bundled. A stack takes those that its parameter `Models` allows: `gpt-image-*` unless it is changed, `*`
for all. `GET /v1/catalog/models` answers the same facts as JSON.

- **Credits** are PoYo's: 1 credit is {{usd}} USD. An *exact* price is what PoYo charges for a finished image. A *bound* is the most that it
  charges, where PoYo does not publish more exactly what it adds up, or publishes two prices. An order reserves the bound, and what is not
  charged is released.
- **Fields** beside `prompt` are optional unless the table says *required*. The default is what PoYo takes for a field that is left out;
  where there is none here, PoYo does not publish it. A field that the model does not have is refused.
- **Reference images** are `image_urls`, addresses or uploads.
- **Usual time** is `typical_seconds` of quotes and tasks, from the order to the stored image. PoYo publishes none, so each has its source; where there is
  none here, it is not known. Many take longer: PoYo may be busy.

| model | reference images | images of an order | credits of the cheapest image | price |
|---|---|---|---|---|
"""


def page(found: Mapping[str, Model]) -> str:
    """The text of the page."""
    rows = "".join(f"{_row(each)}\n" for each in found.values())
    sections = "\n".join("\n".join(_section(each)) for each in found.values())
    return f"{HEAD.format(count=len(found), usd=USD_PER_CREDIT)}{rows}\n{sections}"


def _row(model: Model) -> str:
    link = f"[`{model.model_id}`](#{model.model_id.replace('.', '')})"
    cells = (link, _references(model), _images(model), str(_least(model)), _certainty(model))
    return f"| {' | '.join(cells)} |"


def _section(model: Model) -> Iterator[str]:
    yield f"## {model.model_id}"
    yield f"**{model.title}.** {model.description}"
    yield ""
    yield f"The prompt has {_prompt(model)}. Reference images: {_references(model)}."
    fields = [name for name in model.fields if name not in ("prompt", "image_urls")]
    if fields:
        yield "\n| field | must be | default |\n|---|---|---|"
        yield from (_field_row(model, name) for name in fields)
    if rules := [*_rules(model)]:
        yield ""
        yield from rules
    yield ""
    yield from _price(model)
    if model.timing:
        yield ""
        yield from _timing(model.timing)
    yield "\n```json"
    for each in model.examples:
        order = {"model": model.model_id, "input": each}
        yield json.dumps(order, ensure_ascii=False)
    yield "```\n"


def _prompt(model: Model) -> str:
    least = model.fields["prompt"].get("minLength", 1)
    return f"{least:,} to {model.prompt_max:,} characters"


def _references(model: Model) -> str:
    least, most = model.references
    if not most:
        return "none"
    return f"up to {most}" if not least else str(most) if least == most else f"{least} to {most}"


def _images(model: Model) -> str:
    """How many images an order may ask for."""
    field = model.fields.get("n", {"const": 1})
    most = max(field["enum"]) if "enum" in field else field.get("maximum", 1)
    return "1" if most == 1 else f"1 to {most}"


def _field_row(model: Model, name: str) -> str:
    field = model.fields[name]
    required = name in model.input_schema.get("required", ())
    default = json.dumps(field["default"]).strip('"') if "default" in field else ""
    return f"| `{name}` | {described(field)} | {'*required*' if required else default} |"


def _rules(model: Model) -> Iterator[str]:
    for rule in model.rules.get("checks", ()):
        yield f"- {RULE_TEXTS[rule['rule']](rule)}."
    if billed := model.rules.get("billed_resolution"):
        sizes = one_of(billed["sizes"])
        yield (
            f"- 4K is charged as 4K only for {sizes} and for a custom size with an edge of"
            f" {billed['edge']}, otherwise as 2K; `auto` is charged as {billed['auto']}."
        )


def _custom_size(rule: Mapping[str, Any]) -> str:
    least, most = rule["pixels"]
    edges = "".join(
        f"; an edge of {edge} needs `resolution` {one_of(needs)}"
        for edge, needs in rule.get("edge_resolutions", {}).items()
    )
    return (
        f"A custom size needs `resolution` {one_of(rule['resolutions'])}; both edges are multiples of"
        f" {rule['multiple_of']}, the longest is at most {rule['longest_edge']}, the ratio at most"
        f" {rule['ratio']}:1, and it has {least:,} to {most:,} pixels{edges}"
    )


def _only_with(rule: Mapping[str, Any]) -> str:
    values = f" {one_of(rule['values'])}" if "values" in rule else ""
    return f"`{rule['field']}`{values} needs `{rule['with']}`"


RULE_TEXTS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "custom_size": _custom_size,
    "value_needs": lambda rule: (
        f"`{rule['field']}` {one_of(rule['values'])} needs `{rule['needs']}` {one_of(rule['allowed'])}"
    ),
    "only_with": _only_with,
    "needed_without": lambda rule: f"`{rule['field']}` is required without `{rule['without']}`",
    "total_at_most": lambda rule: (
        f"{' and '.join(f'`{each}`' for each in rule['fields'])} together are at most {rule['most']}"
    ),
}


def _prices(model: Model) -> dict[tuple[str, ...], Decimal]:
    """The price of one image by the values of the fields that choose it."""
    rule, found = pricing.formula(model.billing), model.billing
    return dict(_leaves(found[rule.table], len(rule.axes)))


def _leaves(table: Any, depth: int) -> Iterator[tuple[tuple[str, ...], Decimal]]:
    if not depth:
        yield (), Decimal(table)
        return
    for value, each in table.items():
        yield from (((value, *rest), price) for rest, price in _leaves(each, depth - 1))


def _least(model: Model) -> Decimal:
    """What the cheapest image costs, or is bounded by."""
    rule, prices = pricing.formula(model.billing), _prices(model)
    unknown = any(axis not in model.fields for axis in rule.fields)
    return max(prices.values()) if unknown else min(prices.values())


def _certainty(model: Model) -> str:
    """Whether the price is always exact, always a bound, or which orders have a bound."""
    rule = pricing.formula(model.billing)
    if rule.by_megapixels or _is_unknown(model) or model.rules.get("bound"):
        return "bound"
    parts = []
    given = {*model.input_schema["required"], *model.defaults()}
    if len({*_prices(model).values()}) > 1:
        parts += [f"without {each}" for each in rule.fields if each not in given]
    if _images(model) != "1" and not (rule.each_image or model.rules.get("charged_each")):
        parts.append("with several images")
    if model.billing.get("input_image_credits") and not rule.each_reference:
        parts.append("with reference images")
    if model.billing.get("mask_credits"):
        parts.append("with a mask")
    return f"exact, a bound {' and '.join(parts)}" if parts else "exact"


def _is_unknown(model: Model) -> bool:
    """Whether a field that chooses the price is none of the model's."""
    axes = pricing.formula(model.billing).fields
    return any(each not in model.fields for each in axes) and len({*_prices(model).values()}) > 1


def _price(model: Model) -> Iterator[str]:
    rule, prices = pricing.formula(model.billing), _prices(model)
    axes = rule.fields
    unit = "for each million pixels begun, of each image" if rule.by_megapixels else "an image"
    if not axes or _is_unknown(model):
        yield f"**{_least(model)} credits** {unit} ({_certainty(model)})."
    else:
        yield f"Credits {unit} ({_certainty(model)}):\n"
        yield from _table(axes, prices)
    if rate := model.billing.get("input_image_credits"):
        yield f"\nEach reference image adds {'' if rule.each_reference else 'at most '}{rate} credits."
    if rate := model.billing.get("mask_credits"):
        yield f"\nA mask adds at most {rate} credits."


def _timing(timing: Mapping[str, Any]) -> Iterator[str]:
    axes = list(timing.get("by", ()))
    source = f"{timing['source'][0].upper()}{timing['source'][1:]}."
    if not axes:
        yield f"It usually takes about {timing['seconds']} seconds. {source}"
        return
    yield "Seconds that it usually takes:\n"
    yield from _table(axes, dict(_leaves(timing["seconds"], len(axes))))
    yield f"\n{source}"


def _table(axes: list[str], numbers: Mapping[tuple[str, ...], Decimal]) -> Iterator[str]:
    """A row for each value of the first field, a column for each of the second, if there are two."""
    rows = [*dict.fromkeys(key[0] for key in numbers)]
    columns = [*dict.fromkeys(key[1:] for key in numbers)]
    if columns == [()]:
        yield f"| `{axes[0]}` | {' | '.join(rows)} |"
        yield f"|{'---|' * (len(rows) + 1)}"
        yield f"| | {' | '.join(str(numbers[row,]) for row in rows)} |"
        return
    yield f"| `{axes[0]}`, `{axes[1]}` | {' | '.join(itertools.chain(*columns))} |"
    yield f"|{'---|' * (len(columns) + 1)}"
    for row in rows:
        yield f"| {row} | {' | '.join(str(numbers[row, *each]) for each in columns)} |"


def main(arguments: list[str] | None = None, path: Path = PAGE) -> int:
    """Write the page, or with --check compare it. 1: it is not up to date."""
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail on a difference")
    text = page(models())
    if not parser.parse_args(arguments).check:
        path.write_text(text, encoding="utf-8")
    elif not path.exists() or path.read_text(encoding="utf-8") != text:
        sys.stderr.write(f"{path.name} is not up to date: run {COMMAND}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
