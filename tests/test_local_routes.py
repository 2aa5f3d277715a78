"""Routes and CORS worked out from a processed template."""

from typing import Any

import pytest

from local.intrinsics import Template, holds, resolve
from local.routes import cors, routes

BODY: dict[str, Any] = {
    "paths": {
        "/v1/tasks": {"post": {"x-amazon-apigateway-integration": {
            "uri": {"Fn::Sub": "arn:x:functions/${ApiFunction.Arn}/invocations"}}}},
        "/{proxy+}": {"x-amazon-apigateway-any-method": {"x-amazon-apigateway-integration": {
            "uri": {"Fn::Sub": "arn:x:functions/${OtherFunction.Arn}/invocations"}}}},
    },
    "x-amazon-apigateway-cors": {"Fn::If": [
        "HasCors",
        {"allowOrigins": {"Ref": "CorsOrigins"}, "maxAge": 600},
        {"Ref": "AWS::NoValue"},
    ]},
}  # fmt: skip
DOCUMENT = {
    "Parameters": {
        "CorsOrigins": {"Type": "CommaDelimitedList"},
        "Stage": {"Type": "String"},
    },
    "Conditions": {
        "HasCors": {"Fn::Not": [{"Fn::Equals": [{"Fn::Join": ["", {"Ref": "CorsOrigins"}]}, ""]}]},
    },
}


def template(**parameters: str) -> Template:
    return Template(DOCUMENT, parameters)


def test_every_route_names_its_function() -> None:
    assert list(routes(BODY)) == [
        ("POST /v1/tasks", "ApiFunction"),
        ("ANY /{proxy+}", "OtherFunction"),
    ]


def test_cors_follows_the_parameter() -> None:
    allowed = cors(template(CorsOrigins="https://a.example,https://b.example"), BODY)

    assert allowed == {"AllowOrigins": ["https://a.example", "https://b.example"], "MaxAge": 600}


def test_cors_that_a_condition_leaves_out_is_none() -> None:
    assert cors(template(CorsOrigins=""), BODY) == {}
    assert cors(template(), {"paths": {}}) == {}


@pytest.mark.parametrize(
    ("condition", "true"),
    [
        ({"Fn::Equals": [{"Ref": "Stage"}, "prod"]}, True),
        ({"Fn::And": [{"Fn::Equals": ["a", "a"]}, {"Fn::Equals": ["a", "b"]}]}, False),
        ({"Fn::Or": [{"Fn::Equals": ["a", "a"]}, {"Fn::Equals": ["a", "b"]}]}, True),
        ({"Condition": "HasCors"}, False),
    ],
)
def test_conditions_hold_as_cloudformation_says(condition: dict[str, Any], true: bool) -> None:
    assert holds(template(Stage="prod", CorsOrigins=""), condition) is true


def test_what_is_not_understood_is_an_error_not_a_guess() -> None:
    with pytest.raises(KeyError):
        resolve(template(), {"Ref": "SomeResource"})
    with pytest.raises(ValueError, match="not a condition"):
        holds(template(), {"Fn::Contains": ["a", "b"]})
