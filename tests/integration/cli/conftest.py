"""The operator's command line, for the tests of its commands."""

from __future__ import annotations

import pytest

from tests.support.operator_stack import Command


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs command lines on the stack of `create_stack`."""
    return Command(monkeypatch, capsys)
