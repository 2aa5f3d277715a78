"""Instructions of cold starts: an interpreter that imports a handler from the artefact of `sam build`.

`python -m benchmarks.cold_start` counts each function, what tokens and budgets add to the api, a typical
webhook with Powertools (its packages with their bytecode, too), and what the first request adds: the
first callback, and the first POST of the api, which loads pydantic. `--record` writes the figures of the gate (see `benchmarks.gate`).
`OTHER_CHECKOUT` as argument counts the functions of this checkout against those of another one instead,
both from their sources and the packages of this checkout's development environment.
"""

from __future__ import annotations

import compileall
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import gate
from benchmarks.callback import callback_events
from benchmarks.callgrind import count_all
from benchmarks.interpreter import (
    HANDLERS,
    PACKAGES,
    Program,
    built_folders,
    ensure_built,
)
from benchmarks.report import Row, deliver, parser, show
from benchmarks.servers import Servers, servers
from benchmarks.tasks import order_events
from local.processes import ROOT

MAX_MILLIONS = {"webhook": 500, "sweep": 965, "worker": 1300, "api": 1450}
TYPICAL = "benchmarks.baselines.powertools_webhook"
# What a cold start of the api loads for tokens and budgets alone, in the order of their imports.
SPENDING = (
    "imagetasks.tasks.caller",
    "imagetasks.tasks.budgets",
    "imagetasks.tasks.usage",
    "imagetasks.tasks.bookings",
    "imagetasks.aws.budget_repository",
    "imagetasks.workflows.credit_metrics",
    "imagetasks.workflows.spending",
)


def measure() -> list[Row]:
    """Every function as deployed, against the typical webhook; then what the first request adds."""
    ensure_built()
    compileall.compile_dir(ROOT / "benchmarks", quiet=1)
    alone = Program(("-c", "pass"), ())
    ours = [Program(("-c", f"import {name}"), built_folders(name)) for name in HANDLERS]
    again = f"[importlib.reload(sys.modules[each]) for each in {SPENDING}]"
    reloaded = Program(("-c", f"import api, importlib, sys; {again}"), built_folders("api"))
    typical = Program(("-c", f"import {TYPICAL}"), (PACKAGES, ROOT))
    with servers() as local, tempfile.TemporaryDirectory() as folder:
        requests = [
            _first_request("webhook", callback_events()[0], local, Path(folder)),
            _first_request("api", order_events(1, route="api-quote")[0], local, Path(folder)),
            _first_request(TYPICAL, callback_events()[0], local, Path(folder)),
        ]
        counts = count_all([alone, *ours, typical, *requests, reloaded])
    *millions, twice = [each / 1e6 for each in counts]
    inits = dict(zip(("alone", *HANDLERS, TYPICAL), millions, strict=False))
    firsts = dict(zip(("webhook", "api", TYPICAL), millions[len(inits) :], strict=True))
    added = _spending_row(inits["api"], twice - inits["api"])
    return [*_init_rows(inits), added, *_first_rows(inits, firsts)]


def _first_request(module: str, event: Mapping[str, Any], local: Servers, folder: Path) -> Program:
    """A new interpreter that imports the handler and answers one event over TLS."""
    file = folder / f"{module}.json"
    file.write_text(json.dumps([event]))
    folders = built_folders(module) if module in HANDLERS else (PACKAGES,)
    statement = f"import benchmarks.child as c; c.call_once({module!r}, {str(file)!r})"
    return Program(("-c", statement), (local.trust, *folders, ROOT), local.variables)


def _init_rows(millions: Mapping[str, float]) -> list[Row]:
    typical = millions[TYPICAL]
    baseline = f"typical Powertools webhook: {show(typical)}"
    rows = [_row("interpreter alone", millions["alone"])]
    for name in HANDLERS:
        limit = MAX_MILLIONS.get(name)
        row = _row(f"cold start of {name}", millions[name], baseline, millions[name] / typical)
        if limit:
            row = replace(row, goal=f"≤ {limit:,} M", met=millions[name] <= limit)
        rows.append(row)
    return rows


def _spending_row(whole: float, added: float) -> Row:
    """What tokens and budgets add to the api's cold start: their modules, loaded a second time."""
    without = whole - added
    return _row("… of it tokens and budgets", added, f"without: {show(without)}", added / without)


def _first_rows(inits: Mapping[str, float], firsts: Mapping[str, float]) -> list[Row]:
    """What the first request adds to the cold start, without a goal: it shows what was moved there."""
    typical = firsts[TYPICAL]
    added = firsts["api"] - inits["api"]
    baseline = f"typical Powertools webhook: {show(typical)}"
    both = firsts["webhook"]
    return [
        _row("cold start of webhook and its first callback", both, baseline, both / typical),
        _row("first POST of api (a quote), added to its cold start", added),
    ]


def _row(measure: str, value: float, baseline: str = "", ratio: float | None = None) -> Row:
    return Row(
        number=1,
        measure=measure,
        value=value,
        unit="M instructions",
        baseline=baseline,
        ratio=ratio,
    )


def compare(other: Path) -> list[Row]:
    """Each handler of this checkout against the same of another one."""
    folders = (ROOT / "functions", other / "functions")
    for each in folders:
        compileall.compile_dir(each, quiet=1)
    programs = [
        Program(("-c", f"import {name}"), (functions, PACKAGES))
        for name in HANDLERS
        for functions in folders
    ]
    counts = [each / 1e6 for each in count_all(programs)]
    return [
        _row(f"cold start of {name}", after, f"other checkout: {show(before)}", after / before)
        for name, after, before in zip(HANDLERS, counts[::2], counts[1::2], strict=True)
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, compare with another checkout, or record the gate's figures."""
    known = parser(__doc__)
    known.add_argument("other", type=Path, nargs="?", metavar="OTHER_CHECKOUT")
    known.add_argument("--record", action="store_true", help="write the figures of the gate")
    chosen = known.parse_args(arguments)
    if chosen.record:
        gate.record()
    else:
        deliver(compare(chosen.other) if chosen.other else measure(), chosen.json)


if __name__ == "__main__":
    main()
