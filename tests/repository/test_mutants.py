"""The mutants fit the present code: each can be inserted, and its catcher exists."""

from __future__ import annotations

import ast
from collections import Counter

import pytest

from local.processes import ROOT
from tests.mutation.mutant import SIMULATION, Mutant
from tests.mutation.mutants import MUTANTS

MANY = 95  # the number of mutants never decreases


def test_there_are_many_mutants_with_names_of_their_own() -> None:
    assert len(MUTANTS) >= MANY
    assert [name for name, n in Counter(each.name for each in MUTANTS).items() if n > 1] == []


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_mutant_changes_one_place_into_other_valid_code(mutant: Mutant) -> None:
    text = (ROOT / mutant.path).read_text()

    assert text.count(mutant.old) == 1
    if mutant.path.suffix == ".py":
        assert ast.dump(ast.parse(mutant.applied(text))) != ast.dump(ast.parse(text))
    else:
        assert mutant.applied(text) != text


def test_every_catcher_exists() -> None:
    catchers = {each.catcher for each in MUTANTS} - {SIMULATION}

    assert [each for each in catchers if not (ROOT / "tests" / each).is_file()] == []
