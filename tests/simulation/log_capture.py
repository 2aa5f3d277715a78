"""Captures what the product logs, so that a run can check it for secrets."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any, TextIO, cast

from imagetasks import telemetry


class _LineStream:
    """A text stream that passes everything written to it to a function."""

    def __init__(self, on_line: Callable[[str], None]) -> None:
        self.write = on_line

    def flush(self) -> None:
        """Do nothing: the stream has no buffer."""


@contextmanager
def captured_logs(on_line: Callable[[str], None]) -> Iterator[None]:
    """Pass the output of the real logger and of the metrics to `on_line`, not to the terminal."""
    handler = cast("logging.StreamHandler[Any]", telemetry.log.registered_handler)
    stream = _LineStream(on_line)
    before = handler.setStream(stream)
    try:
        with redirect_stdout(cast("TextIO", stream)):
            yield
    finally:
        handler.setStream(before)
