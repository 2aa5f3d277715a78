"""Routes and CORS of the HTTP API, which the emulator does not take from CloudFormation.

AWS makes them from the OpenAPI body that SAM writes into the processed template; this makes the
same from the same body, so nothing about them is said a second time.
"""

from collections.abc import Iterator
from typing import Any

from local.cloud import Cloud
from local.intrinsics import Template, resolve
from local.stack import NAME, Stack

METHODS = (
    "get",
    "put",
    "post",
    "delete",
    "patch",
    "head",
    "options",
    "x-amazon-apigateway-any-method",
)


def mend(cloud: Cloud, stack: Stack) -> list[str]:
    """Give the API the routes and CORS its template describes; returns the route keys."""
    gateway = cloud.client("apigatewayv2")
    template = read_template(cloud)
    body = template.document["Resources"]["HttpApi"]["Properties"]["Body"]
    for route in gateway.get_routes(ApiId=stack.api_id)["Items"]:
        gateway.delete_route(ApiId=stack.api_id, RouteId=route["RouteId"])
    integrations: dict[str, str] = {}
    keys = []
    for key, function in routes(body):
        if function not in integrations:
            integrations[function] = _integration(cloud, stack, function)
        target = f"integrations/{integrations[function]}"
        gateway.create_route(ApiId=stack.api_id, RouteKey=key, Target=target)
        keys.append(key)
    if allowed := cors(template, body):
        gateway.update_api(ApiId=stack.api_id, CorsConfiguration=allowed)
    return keys


def routes(body: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Each route key (`POST /v1/tasks`) of an OpenAPI body, with its function's logical id."""
    for path, methods in body.get("paths", {}).items():
        for method, operation in methods.items():
            if method.lower() not in METHODS:
                continue
            verb = "ANY" if method.startswith("x-") else method.upper()
            key = path if path == "$default" else f"{verb} {path}"
            yield key, _function(operation["x-amazon-apigateway-integration"]["uri"])


def cors(template: Template, body: dict[str, Any]) -> dict[str, Any]:
    """What the API allows pages of other origins, in its own API's words; {} for nothing."""
    resolved = resolve(template, {"cors": body.get("x-amazon-apigateway-cors", {})})
    return {name[0].upper() + name[1:]: value for name, value in resolved.get("cors", {}).items()}


def read_template(cloud: Cloud) -> Template:
    """The stack's template as the SAM transform left it, with its parameters."""
    formation = cloud.client("cloudformation")
    document = formation.get_template(StackName=NAME, TemplateStage="Processed")["TemplateBody"]
    described = formation.describe_stacks(StackName=NAME)["Stacks"][0]
    given = {item["ParameterKey"]: item["ParameterValue"] for item in described["Parameters"]}
    return Template(document, given)


def _function(uri: Any) -> str:
    """`…/functions/${ApiFunction.Arn}/invocations` → ApiFunction."""
    text = uri["Fn::Sub"]
    return str(text).rsplit("${", 1)[1].split(".", 1)[0].split("}", 1)[0]


def _integration(cloud: Cloud, stack: Stack, function: str) -> str:
    formation = cloud.client("cloudformation")
    resource = formation.describe_stack_resource(StackName=NAME, LogicalResourceId=function)
    name = resource["StackResourceDetail"]["PhysicalResourceId"]
    arn = cloud.client("lambda").get_function(FunctionName=name)["Configuration"]["FunctionArn"]
    created = cloud.client("apigatewayv2").create_integration(
        ApiId=stack.api_id,
        IntegrationType="AWS_PROXY",
        IntegrationUri=arn,
        PayloadFormatVersion="2.0",
    )
    return str(created["IntegrationId"])
