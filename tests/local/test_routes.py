"""The routes and the CORS that are read from a template, and the URL that handles OPTIONS."""

from typing import Any

import pytest
import requests

from local.cfn_intrinsics import Template, holds, resolve
from local.routes import cors, function_url, routes
from local.system import System

BODY: dict[str, Any] = {
    "paths": {
        "/v1/tasks": {"post": {"x-amazon-apigateway-integration": {
            "uri": {"Fn::Sub": "arn:x:functions/${ApiFunction.Arn}/invocations"}}}},
        "/{proxy+}": {"x-amazon-apigateway-any-method": {"x-amazon-apigateway-integration": {
            "uri": {"Fn::Sub": "arn:x:functions/${OtherFunction.Arn}/invocations"}}}},
    },
}  # fmt: skip
API: dict[str, Any] = {
    "CorsConfiguration": {"Fn::If": [
        "HasCors",
        {"AllowOrigins": {"Fn::Split": [",", {"Ref": "CorsOrigins"}]}, "MaxAge": 600},
        {"Ref": "AWS::NoValue"},
    ]},
    "Elsewhere": {"Ref": "SomeResource"},
}  # fmt: skip
DOCUMENT: dict[str, Any] = {
    "Parameters": {
        "CorsOrigins": {"Type": "String"},
        "Stage": {"Type": "String"},
        "Zones": {"Type": "CommaDelimitedList"},
    },
    "Conditions": {
        "HasCors": {"Fn::Not": [{"Fn::Equals": [{"Ref": "CorsOrigins"}, ""]}]},
    },
    "Resources": {"HttpApi": {"Properties": API}},
}


def template(**parameters: str) -> Template:
    return Template(DOCUMENT, parameters)


def test_every_route_has_its_function() -> None:
    assert list(routes(BODY)) == [
        ("POST /v1/tasks", "ApiFunction"),
        ("ANY /{proxy+}", "OtherFunction"),
    ]


def test_cors_follows_the_parameter() -> None:
    allowed = cors(template(CorsOrigins="https://a.example,https://b.example"))

    assert allowed == {"AllowOrigins": ["https://a.example", "https://b.example"], "MaxAge": 600}


def test_cors_removed_by_a_condition_is_empty() -> None:
    assert cors(template(CorsOrigins="")) == {}
    assert cors(Template({"Resources": {"HttpApi": {}}}, {})) == {}


def test_lists_are_joined() -> None:
    joined = {"Fn::Join": ["-", {"Ref": "Zones"}]}

    assert resolve(template(Zones="a,b"), joined) == "a-b"


@pytest.mark.parametrize(
    ("condition", "true"),
    [
        ({"Fn::Equals": [{"Ref": "Stage"}, "prod"]}, True),
        ({"Fn::And": [{"Fn::Equals": ["a", "a"]}, {"Fn::Equals": ["a", "b"]}]}, False),
        ({"Fn::Or": [{"Fn::Equals": ["a", "a"]}, {"Fn::Equals": ["a", "b"]}]}, True),
        ({"Condition": "HasCors"}, False),
    ],
)
def test_conditions_evaluate_as_in_cloudformation(condition: dict[str, Any], true: bool) -> None:
    assert holds(template(Stage="prod", CorsOrigins=""), condition) is true


def test_an_unsupported_function_or_reference_is_an_error() -> None:
    with pytest.raises(KeyError):
        resolve(template(), {"Ref": "SomeResource"})
    with pytest.raises(ValueError, match="not a condition"):
        holds(template(), {"Fn::Contains": ["a", "b"]})


def test_the_function_url_handles_options_requests(stack: System) -> None:
    url = function_url(stack.cloud, "ApiFunction")

    response = requests.options(
        f"{url}/v1/tasks", headers={"Authorization": "Bearer x"}, timeout=30
    )

    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json()["status"] == response.status_code == 405
