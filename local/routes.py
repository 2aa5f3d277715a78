"""Routes and CORS of the HTTP API, which the emulator does not take from CloudFormation.

AWS makes them from the OpenAPI body that SAM writes into the processed template; this makes the
routes from the same body, so nothing about them is said a second time. CORS depends on a parameter,
and of those the emulator gives SAM only the defaults, so that is taken from what was deployed. The
bucket's CORS the emulator takes from the template itself.
"""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import yaml

from local.cfn_intrinsics import Template, resolve
from local.cloud import Cloud
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
CATCH_ALL = ("$default", "ANY /{proxy+}")


def mend(cloud: Cloud, stack: Stack) -> str | None:
    """Give the API the routes and CORS its template describes; returns where OPTIONS is answered.

    None is the API itself: with CORS, a gateway answers preflights and asks no function. Without,
    OPTIONS is a method as any other, but the emulated gateway refuses it, so this is the URL of
    the function behind the route that takes it.
    """
    gateway = cloud.client("apigatewayv2")
    body = _api(read_template(cloud, "Processed"))["Body"]
    for route in gateway.get_routes(ApiId=stack.api_id)["Items"]:
        gateway.delete_route(ApiId=stack.api_id, RouteId=route["RouteId"])
    integrations: dict[str, str] = {}
    for key, function in routes(body):
        if function not in integrations:
            integrations[function] = _integration(cloud, stack, function)
        target = f"integrations/{integrations[function]}"
        gateway.create_route(ApiId=stack.api_id, RouteKey=key, Target=target)
    if allowed := cors(read_template(cloud, "Original")):
        gateway.update_api(ApiId=stack.api_id, CorsConfiguration=allowed)
        return None
    taking = [function for key, function in routes(body) if key in CATCH_ALL]
    return function_url(cloud, taking[0]) if taking else None


def routes(body: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Each route key (`POST /v1/tasks`) of an OpenAPI body, with its function's logical id."""
    for path, methods in body.get("paths", {}).items():
        for method, operation in methods.items():
            if method.lower() not in METHODS:
                continue
            verb = "ANY" if method.startswith("x-") else method.upper()
            key = path if path == "$default" else f"{verb} {path}"
            yield key, _function(operation["x-amazon-apigateway-integration"]["uri"])


def cors(template: Template) -> dict[str, Any]:
    """What the API allows pages of other origins; {} for nothing."""
    said = {"cors": _api(template).get("CorsConfiguration", {})}
    allowed: dict[str, Any] = resolve(template, said).get("cors", {})
    return allowed


def read_template(cloud: Cloud, stage: str) -> Template:
    """The stack's template, `Original` or `Processed` by SAM, with its parameters."""
    formation = cloud.client("cloudformation")
    body = formation.get_template(StackName=NAME, TemplateStage=stage)["TemplateBody"]
    document = yaml.safe_load(body) if isinstance(body, str) else body
    described = formation.describe_stacks(StackName=NAME)["Stacks"][0]
    given = {item["ParameterKey"]: item["ParameterValue"] for item in described["Parameters"]}
    return Template(document, given)


def function_url(cloud: Cloud, function: str) -> str:
    """Where a function gets requests in the shape in which an HTTP API passes them on."""
    name, functions = _physical_name(cloud, function), cloud.client("lambda")
    functions.add_permission(
        FunctionName=name,
        StatementId="options",
        Action="lambda:InvokeFunctionUrl",
        Principal="*",
        FunctionUrlAuthType="NONE",
    )
    url = functions.create_function_url_config(FunctionName=name, AuthType="NONE")["FunctionUrl"]
    return f"{cloud.url}/_aws/lambda-url/{(urlsplit(url).hostname or '').partition('.')[0]}"


def _api(template: Template) -> dict[str, Any]:
    properties: dict[str, Any] = template.document["Resources"]["HttpApi"].get("Properties", {})
    return properties


def _function(uri: Any) -> str:
    """`…/functions/${ApiFunction.Arn}/invocations` → ApiFunction."""
    text = uri["Fn::Sub"]
    return str(text).rsplit("${", 1)[1].split(".", 1)[0].split("}", 1)[0]


def _integration(cloud: Cloud, stack: Stack, function: str) -> str:
    name = _physical_name(cloud, function)  # of an alias this is its ARN, of a function its name
    if not name.startswith("arn:"):
        told = cloud.client("lambda").get_function(FunctionName=name)
        name = told["Configuration"]["FunctionArn"]
    created = cloud.client("apigatewayv2").create_integration(
        ApiId=stack.api_id,
        IntegrationType="AWS_PROXY",
        IntegrationUri=name,
        PayloadFormatVersion="2.0",
    )
    return str(created["IntegrationId"])


def _physical_name(cloud: Cloud, logical_id: str) -> str:
    formation = cloud.client("cloudformation")
    resource = formation.describe_stack_resource(StackName=NAME, LogicalResourceId=logical_id)
    return str(resource["StackResourceDetail"]["PhysicalResourceId"])
