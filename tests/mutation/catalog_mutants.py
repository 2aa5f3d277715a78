"""Defects in what keeps the bundled models and their prices up to date with PoYo's catalogue."""

from __future__ import annotations

from tests.mutation.mutant import Mutant

REFRESH = "integration/cli/test_catalog.py"
DRIFT = "integration/handlers/test_drift.py"
DOCTOR = "integration/cli/test_catalog_drift.py"
MAKE = "repository/test_make_models.py"
LIVE = "unit/poyo/test_live_catalog.py"

CATALOG = (
    Mutant(
        "a refresh writes without being asked",
        "cli/catalog.py",
        "written = options.write and bool(found.changes)",
        "written = bool(found.changes)",
        REFRESH,
    ),
    Mutant(
        "a refresh shows changes and writes none",
        "cli/catalog.py",
        "            replace_files(found.texts)\n",
        "            pass\n",
        REFRESH,
    ),
    Mutant(
        "a refresh replaces one file before the other is written",
        "cli/catalog.py",
        "                os.fsync(file.fileno())\n",
        "                os.fsync(file.fileno())\n            beside.replace(path)\n",
        REFRESH,
    ),
    Mutant(
        "a changed price is not shown",
        "cli/catalog_changes.py",
        'for kind, part in (("input", "input_schema"), ("billing", "billing")):',
        'for kind, part in (("input", "input_schema"),):',
        REFRESH,
    ),
    Mutant(
        "a model may be ordered with fewer than one image",
        "scripts/model_checks.py",
        "if min(counts) < 1:",
        "if False:",
        MAKE,
    ),
    Mutant(
        "a model may make more images than are kept",
        "scripts/model_checks.py",
        "if max(counts) > MAX_FILES:",
        "if False:",
        MAKE,
    ),
    Mutant(
        "a keyword may have any form",
        "scripts/schema_checks.py",
        "if name in schema and type(schema[name]) not in kinds:",
        "if False:",
        MAKE,
    ),
    Mutant(
        "only the first page of PoYo's catalogue is read",
        "poyo/live_catalog.py",
        'if not page.get("has_more") or not cursor:',
        "if True:",
        LIVE,
    ),
    Mutant(
        "a lost page ends the catalogue",
        "poyo/live_catalog.py",
        'raise CatalogUnreadable(f"no response: {error}") from error',
        'return {"items": []}',
        LIVE,
    ),
    Mutant(
        "models that orders may not name raise the alarm",
        "workflows/compare_catalog.py",
        "if name in bundled}",
        "}",
        DRIFT,
    ),
    Mutant(
        "drift is logged and not counted",
        "workflows/compare_catalog.py",
        'telemetry.put_metric("catalog_drift", len(differing), MetricUnit.Count)',
        'telemetry.put_metric("catalog_drift", 0, MetricUnit.Count)',
        DRIFT,
    ),
    Mutant(
        "a catalogue that cannot be read counts as one without drift",
        "workflows/compare_catalog.py",
        "            return None\n",
        '            telemetry.put_metric("catalog_drift", 0, MetricUnit.Count)\n            return None\n',
        DRIFT,
    ),
    Mutant(
        "the doctor names no model that differs",
        "cli/catalog_drift.py",
        "if name in offered}",
        "if name not in offered}",
        DOCTOR,
    ),
)
