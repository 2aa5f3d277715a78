"""docs/scale.md shows the tables that `benchmarks/scale.py` computes, and the order of its limits."""

from __future__ import annotations

from pathlib import Path

from benchmarks import scale, scale_check

PAGE = (Path(__file__).parents[2] / "docs" / "scale.md").read_text()


def test_page_has_the_tables_as_they_are_computed_now() -> None:
    for table in (scale.ceiling_table(), scale.need_table()):
        assert table in PAGE, f"put this on the page:\n{table}"


def test_poyos_limit_comes_first_with_the_defaults() -> None:
    assert scale.ceilings()[0].name.startswith("PoYo's limit")


def test_parameters_of_each_rate_carry_it() -> None:
    for images in scale.RATES:
        assert scale.submits_a_minute(scale.window_for(images)) >= images


def test_submits_keep_pace_at_a_hundred_images_a_minute() -> None:
    check = scale_check.simulate(100)

    assert (check.sent, check.refused) == (500, 0)
    assert check.longest_wait_s < 1
