"""docs/models.md: it is what the bundled catalogue makes, and states of each model what orders meet."""

from __future__ import annotations

import itertools
import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from imagetasks.poyo.input_rules import RULES
from imagetasks.poyo.model_catalog import Model, models
from scripts import make_models_page
from scripts.make_models_page import PAGE, RULE_TEXTS, main

IMAGE = "https://images.example.com/a.png"
ROW = re.compile(r"^\| \[`(.+)`\]\(#(.+)\) \| (.+) \| (.+) \| (.+) \| (.+) \|$", re.MULTILINE)
SECTION = re.compile(r"^## (.+)$", re.MULTILINE)
ROWS = {row[0]: row for row in ROW.findall(PAGE.read_text())}


def section(model_id: str) -> str:
    text = PAGE.read_text().partition(f"\n## {model_id}\n")[2]
    return text.partition("\n## ")[0]


def orders(model: Model) -> list[dict[str, Any]]:
    """Valid inputs: the examples with every value of the fields that choose the price and without them,
    several images, references and a mask."""
    fields = {name: model.fields.get(name, {}) for name in ("quality", "resolution", "n")}
    choices = [[*each.get("enum", []), None] for each in list(fields.values())[:2]]
    counts = [1, 2] if fields["n"] else [1]
    found = []
    for example, quality, resolution, n in itertools.product(model.examples, *choices, counts):
        values = {"quality": quality, "resolution": resolution, "n": n if fields["n"] else None}
        others = {name: each for name, each in example.items() if name not in fields}
        given = others | {name: each for name, each in values.items() if each is not None}
        if not model.errors(given):
            found.append(given)
    return found


def test_page_is_what_the_catalogue_makes(tmp_path: Path) -> None:
    assert main(["--check"]) == 0
    assert main([], tmp_path / "models.md") == 0
    assert (tmp_path / "models.md").read_text() == PAGE.read_text()


def test_check_names_a_page_that_is_old_or_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "models.md"

    assert main(["--check"], path) == 1
    path.write_text(PAGE.read_text() + "\n")
    assert main(["--check"], path) == 1
    assert make_models_page.COMMAND in capsys.readouterr().err
    assert path.read_text().endswith("\n\n")


def test_every_model_has_a_row_and_a_section_that_the_row_links() -> None:
    assert list(ROWS) == SECTION.findall(PAGE.read_text()) == list(models())
    assert [row[1] for row in ROWS.values()] == [each.replace(".", "") for each in models()]


@pytest.mark.parametrize("model", models().values(), ids=lambda each: each.model_id)
def test_section_names_every_field_and_example(model: Model) -> None:
    text = section(model.model_id)

    assert f"{model.prompt_max:,} characters" in text
    for name in model.fields.keys() - {"prompt", "image_urls"}:
        assert f"| `{name}` |" in text
    examples = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    assert examples == [{"model": model.model_id, "input": each} for each in model.examples]
    assert len(re.findall(r"^- ", text, re.MULTILINE)) == len(model.rules.get("checks", ())) + (
        "billed_resolution" in model.rules
    )


@pytest.mark.parametrize("model", models().values(), ids=lambda each: each.model_id)
def test_price_is_called_exact_only_where_it_is_and_the_cheapest_is_the_least(model: Model) -> None:
    *_, least, certainty = ROWS[model.model_id]

    for given in orders(model):
        price = model.price(given)
        certain = certainty == "exact" or (
            certainty.startswith("exact, a bound with")
            and not ("without resolution" in certainty and "resolution" not in given)
            and not ("several images" in certainty and model.images(given) > 1)
            and not ("reference images" in certainty and "image_urls" in given)
            and not ("a mask" in certainty and "mask_url" in given)
        )
        assert price.exact is certain, given
        assert price.credits >= Decimal(least) * model.images(given)


def test_page_has_the_price_table_of_the_newer_family() -> None:
    assert "| 2K | 2.65 | 5.99 | 23.94 | 42.55 | 95.74 |" in section("gpt-image-2.5-sunburst")
    assert "| medium | 8.48 | 8.96 | 16.16 |" in section("gpt-image-2")


def test_every_rule_across_fields_has_words() -> None:
    assert RULE_TEXTS.keys() == RULES.keys()
