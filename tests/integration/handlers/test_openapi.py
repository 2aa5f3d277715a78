"""openapi.json: it is generated from the code, valid, complete, and as strict as the validation of orders."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from openapi_spec_validator import OpenAPIV31SpecValidator

from imagetasks.api import order_request
from imagetasks.api.routes import ROUTES
from imagetasks.api.schemas import task_body
from imagetasks.errors import InvalidOrder
from local.processes import ROOT
from openapi import document, schemas
from openapi.offered import MODELS
from openapi.operations import OPERATIONS, Operation
from tests.support.fakes import PROMPT, task
from tests.support.gpt_image_2 import NAMES, RATIOS
from tests.support.openapi_schemas import DOCUMENT, declared_operation, schema_errors
from tests.support.template import properties

IDS = [operation.id for operation in OPERATIONS]
# Problems that belong to no operation: unknown paths and methods, and unknown callback URLs.
OF_NO_OPERATION = {"method_not_allowed", "not_found"}


# The generated file


def test_committed_file_is_what_the_code_generates() -> None:
    assert document.FILE.read_text() == document.render(), "run `make openapi`"


def test_check_fails_for_an_outdated_file_and_names_the_command(tmp_path: Path) -> None:
    other = tmp_path / "openapi.json"
    other.write_text(document.FILE.read_text().replace('"maxLength": 20000', '"maxLength": 4000'))

    checked = run_openapi("--check", "--file", str(other))
    run_openapi("--file", str(other))

    assert checked.returncode == 1
    assert "make openapi" in checked.stderr
    assert other.read_text() == document.FILE.read_text()
    assert run_openapi("--check", "--file", str(other)).returncode == 0


def run_openapi(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "openapi", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_document_is_valid_openapi() -> None:
    OpenAPIV31SpecValidator(DOCUMENT).validate()


def test_handler_and_table_of_operations_have_the_same_routes() -> None:
    routes = {
        (method, rule.replace("<", "{").replace(">", "}"))
        for method, rule, _ in ROUTES
        if method != "HEAD"
    }

    assert {(each.method, each.path) for each in OPERATIONS} == routes


def test_template_and_table_of_operations_have_the_same_routes() -> None:
    events = [each["Properties"] for each in properties("ApiFunction")["Events"].values()]
    routes = {(each["Method"], each["Path"]) for each in events} - {("ANY", "$default")}

    assert {(each.method, each.path) for each in OPERATIONS} == routes


def test_every_problem_is_declared_by_some_operation() -> None:
    codes = {problem.code for operation in OPERATIONS for problem in operation.problems}

    assert codes == {problem.code for problem in schemas.known_problems()} - OF_NO_OPERATION


def test_every_component_is_referenced() -> None:
    text = json.dumps(DOCUMENT)

    for kind, components in DOCUMENT["components"].items():
        for name in components:
            referenced = f'"#/components/{kind}/{name}"' in text
            assert referenced or kind == "securitySchemes", (kind, name)


def test_input_of_all_models_has_no_default_that_a_generated_client_would_send_to_each() -> None:
    fields = DOCUMENT["components"]["schemas"]["TaskInput"]["properties"]
    assert {"n", "background", "output_format"} < fields.keys()
    assert [name for name, schema in fields.items() if "default" in schema] == []


def test_links_have_every_parameter_of_their_operations_path() -> None:
    by_id = {operation.id: operation for operation in OPERATIONS}
    for operation in OPERATIONS:
        for success in operation.successes:
            for target, parameters in (success.links or {}).items():
                assert set(parameters) == set(re.findall(r"{(\w+)}", by_id[target].path))


def examples() -> Iterator[Any]:
    """Every example of a body with its schema; its place in the document is the id."""
    for where, content in _contents(DOCUMENT, ""):
        for name, example in content.get("examples", {}).items():
            ref = example.get("$ref", "").rpartition("/")[2]
            value = DOCUMENT["components"]["examples"][ref] if ref else example
            yield pytest.param(value["value"], content["schema"], id=f"{where}:{name}")


def _contents(part: Any, where: str) -> Iterator[tuple[str, Any]]:
    if isinstance(part, dict):
        if "schema" in part and "examples" in part:
            yield where, part
        for name, each in part.items():
            yield from _contents(each, f"{where}/{name}")


@pytest.mark.parametrize(("example", "schema"), list(examples()))
def test_every_example_is_valid_by_its_schema(example: Any, schema: dict[str, Any]) -> None:
    assert schema_errors(example, schema) == []


@pytest.mark.parametrize("operation", OPERATIONS, ids=IDS)
def test_every_body_has_an_example(operation: Operation) -> None:
    declared = declared_operation(operation)
    responses = [each.get("content", {}) for each in declared["responses"].values()]
    for content in [*responses, declared.get("requestBody", {}).get("content", {})]:
        for each in content.values():
            assert each.get("examples") or operation.id == "readContract"


@pytest.mark.parametrize(
    "changed",
    [{"status": "done"}, {"task_id": "x"}, {"created_at": "today"}, {"surprise": 1}],
    ids=str,
)
def test_invalid_task_is_invalid_by_the_schema(changed: dict[str, Any]) -> None:
    valid: dict[str, Any] = dict(
        task_body(task(state="running"), public_base_url="https://img.example")
    )

    assert schema_errors(valid, {"$ref": "#/components/schemas/Task"}) == []
    assert schema_errors(valid | changed, {"$ref": "#/components/schemas/Task"}) != []


# The schema of an order is as strict as the validation

URLS = ["https://example.com/a.png", f"upload://{'a' * 26}", "http://a.example/x", "upload://x", ""]
INPUTS = st.fixed_dictionaries(
    {"prompt": st.sampled_from(["a boat", "", " \n", "x" * 20_000, "x" * 20_001, 7, None])},
    optional={
        "quality": st.sampled_from(["low", "medium", "high", "ultra", "LOW", None, 1]),
        "size": st.sampled_from(
            ["auto", "1:1", "21:9", "7:5", "1024x1024", "64x", "AUTO", "", None, 3]
        ),
        "resolution": st.sampled_from(["1K", "2K", "4K", "8K", None]),
        "image_urls": st.lists(st.sampled_from(URLS), max_size=2) | st.just([URLS[0]] * 17),
        "background": st.sampled_from(["auto", "transparent", "white"]),
        "output_format": st.sampled_from(["png", "jpeg", "webp", "jpg"]),
        "mask_url": st.sampled_from(URLS),
        "n": st.sampled_from([1, 2, 11, 0, "1"]),
        "aspect_ratio": st.just("1:1"),
    },
)
BODIES = st.fixed_dictionaries(
    {
        "model": st.sampled_from([*NAMES, *NAMES, *MODELS, "gpt-image-1", None]),
        "input": INPUTS,
    },
    optional={
        "metadata": st.sampled_from(
            [{}, {"a": "b"}, {"": "b"}, {"a": 1}, {"a": "x" * 257}, {"k" * 65: "b"}, None]
        ),
        "max_credits": st.sampled_from([1000, 64.16, 0, -1, "9", None]),
        "callback_url": st.sampled_from([None, "https://a.example/b", "ftp://a.example", 1]),
        "extra": st.just(1),
    },
)


def api_accepts(body: object) -> bool:
    try:
        order_request.parse(json.dumps(body).encode(), MODELS)
    except InvalidOrder:
        return False
    return True


@settings(
    max_examples=1500, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
@given(BODIES)
def test_schema_and_validation_accept_the_same_orders(
    body: dict[str, Any],
) -> None:
    assume(
        body.get("callback_url") != "ftp://a.example"
    )  # the allow-list decides about it, not the parser
    valid = schema_errors(body, {"$ref": "#/components/schemas/TaskRequest"}) == []

    assert valid is api_accepts(body), body


@pytest.mark.parametrize("model", NAMES)
def test_schema_allows_every_size_of_a_model(model: str) -> None:
    images = {"image_urls": [URLS[0]]}
    for size in ["auto", *RATIOS, "2048x1152"]:
        image_input = {"prompt": PROMPT, "size": size, "resolution": "2K", **images}
        body = {"model": model, "input": image_input}

        assert schema_errors(body, {"$ref": "#/components/schemas/TaskRequest"}) == []
        assert api_accepts(body)
