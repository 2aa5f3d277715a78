"""Creates the HTTP API's routes, which the emulator does not create from CloudFormation, and reads its
CORS, which the gateway applies.

AWS creates both from the OpenAPI body that SAM writes into the processed template. This module creates
the routes from the same body, so that they are defined once. CORS depends on a parameter, and the
emulator passes only the parameters' defaults to SAM; therefore CORS is read from the original template
and the deployed parameters. The emulator does create the bucket's CORS from the template.
"""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import yaml

from local.cfn_intrinsics import Template, resolve
from local.cloud import Cloud
from local.cors import to_json
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


def configure(cloud: Cloud, stack: Stack) -> None:
    """Create the routes of the processed template."""
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


def gateway_arguments(cloud: Cloud, cors_origins: str) -> tuple[str, ...]:
    """The gateway's arguments for the throttle, CORS and OPTIONS.

    With CORS, API Gateway responds to OPTIONS requests without a function, and so does the gateway.
    Without CORS, OPTIONS is an ordinary method, but the emulated API Gateway rejects it; so they go to
    the URL of the function behind the route that matches them.
    """
    template = read_template(cloud, "Original")
    throttle = ("--rate", str(resolve(template, {"Ref": "RequestsPerSecond"})))
    if rules := cors(template):
        return (*throttle, "--cors", to_json(rules, cors_origins))
    body = _api(read_template(cloud, "Processed"))["Body"]
    catch_all = [function for key, function in routes(body) if key in CATCH_ALL]
    return (*throttle, "--options", function_url(cloud, catch_all[0])) if catch_all else throttle


def routes(body: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each route key (`POST /v1/tasks`) of an OpenAPI body with its function's logical id."""
    for path, methods in body.get("paths", {}).items():
        for method, operation in methods.items():
            if method.lower() not in METHODS:
                continue
            http_method = "ANY" if method.startswith("x-") else method.upper()
            key = path if path == "$default" else f"{http_method} {path}"
            yield key, _function(operation["x-amazon-apigateway-integration"]["uri"])


def cors(template: Template) -> dict[str, Any]:
    """Return the API's CORS configuration; {} if it has none."""
    properties = {"cors": _api(template).get("CorsConfiguration", {})}
    allowed: dict[str, Any] = resolve(template, properties).get("cors", {})
    return allowed


def read_template(cloud: Cloud, stage: str) -> Template:
    """Return the stack's template, `Original` or `Processed` by SAM, with its parameters."""
    formation = cloud.client("cloudformation")
    body = formation.get_template(StackName=NAME, TemplateStage=stage)["TemplateBody"]
    document = yaml.safe_load(body) if isinstance(body, str) else body
    described = formation.describe_stacks(StackName=NAME)["Stacks"][0]
    given = {item["ParameterKey"]: item["ParameterValue"] for item in described["Parameters"]}
    return Template(document, given)


def function_url(cloud: Cloud, function: str) -> str:
    """Create a function URL, which invokes the function with the same event format as an HTTP API."""
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
    name = _physical_name(cloud, function)  # the ARN of an alias, or the name of a function
    if not name.startswith("arn:"):
        found = cloud.client("lambda").get_function(FunctionName=name)
        name = found["Configuration"]["FunctionArn"]
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
