"""The table of failure reasons."""

from __future__ import annotations

from imagetasks.tasks.failure_reasons import REASONS, RECOVERABLE


def test_every_reason_for_which_poyo_may_have_charged_is_recoverable() -> None:
    charged = {name for name, reason in REASONS.items() if reason.charged is not False}

    assert charged == {"unconfirmed", "timed_out", "bad_result", "result_expired"}
    assert charged <= set(RECOVERABLE)


def test_only_a_refused_submit_is_final() -> None:
    final = set(REASONS) - set(RECOVERABLE)

    assert final == {"rejected", "insufficient_credits", "unavailable"}
