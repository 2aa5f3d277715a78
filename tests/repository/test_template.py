"""The template as CloudFormation gets to see it: what is published, kept, allowed, throttled and shown."""

from __future__ import annotations

import ast
import io
import json
import re
import subprocess
from functools import cache
from typing import Any

import pytest

from imagetasks import telemetry
from imagetasks.tasks.failure_reasons import REASONS
from imagetasks.tasks.task import StoredImage
from imagetasks.tasks.transitions import TRANSITIONS
from local.cfn_intrinsics import Template, holds, resolve
from local.processes import ROOT
from local.routes import routes
from tests.support.fakes import task

Table = dict[str, Any]

PYTHON = ROOT / ".local" / "envs" / "cloud" / "bin" / "python"
FUNCTIONS = ("ApiFunction", "WebhookFunction", "WorkerFunction", "SweepFunction")
README = (ROOT / "README.md").read_text()

CODE, LAYER = "s3://packaged/functions.zip", "s3://packaged/layer.zip"
OTHER_CODE, OTHER_LAYER = "s3://packaged/functions-2.zip", "s3://packaged/layer-2.zip"
RELEASE, NEXT_RELEASE = {"ReleaseSha": "a" * 64}, {"ReleaseSha": "b" * 64}
GRADUAL = {"GradualDeploys": "true"}
VARIANTS: dict[str, tuple[str, str, dict[str, str]]] = {
    "plain": (CODE, LAYER, {}),
    "other layer": (CODE, OTHER_LAYER, {}),
    "other code": (OTHER_CODE, LAYER, {}),
    "released": (CODE, LAYER, RELEASE),
    "other layer, same release": (CODE, OTHER_LAYER, RELEASE),
    "other code, same release": (OTHER_CODE, LAYER, RELEASE),
    "other layer, next release": (CODE, OTHER_LAYER, NEXT_RELEASE),
    "gradual": (CODE, LAYER, GRADUAL),
}
# SAM's own translator, once for all variants: starting it takes longer than they do.
TRANSLATE = """
import json, os, sys
os.environ["AWS_DEFAULT_REGION"] = "eu-west-1"
from local import translate
def one(code, layer, parameters):
    translate._PACKAGED["AWS::Serverless::Function"] = ("CodeUri", code)
    translate._PACKAGED["AWS::Serverless::LayerVersion"] = ("ContentUri", layer)
    return translate.translated(translate.TEMPLATE.read_text(), parameters)
print(json.dumps({name: one(*asked) for name, asked in json.load(sys.stdin).items()}))
"""


@cache
def translated() -> dict[str, Table]:
    done = subprocess.run(
        [PYTHON, "-c", TRANSLATE],
        input=json.dumps(VARIANTS),
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    made: dict[str, Table] = json.loads(done.stdout)
    return made


def resources(kind: str = "", variant: str = "plain") -> dict[str, Table]:
    """Resources of a kind, or all, by logical id."""
    every = translated()[variant]["Resources"]
    return {name: each for name, each in every.items() if kind in ("", each["Type"])}


def properties(name: str, variant: str = "plain") -> Table:
    found: Table = resources(variant=variant)[name]["Properties"]
    return found


def resolved(value: Any, **parameters: str) -> Any:
    """`value` with conditions worked out; parameters not named have their defaults."""
    document = translated()["plain"]
    defaults = {name: str(each["Default"]) for name, each in document["Parameters"].items()}
    return resolve(Template(document, defaults | parameters), value)


# ── What is published ────────────────────────────────────────────────────────────────────────────


def versions(variant: str) -> dict[str, str]:
    """The logical id of each function's version: another one is what gets it published."""
    aliases = {name: properties(f"{name}Aliaslive", variant) for name in FUNCTIONS}
    return {name: each["FunctionVersion"]["Fn::GetAtt"][0] for name, each in aliases.items()}


def layers(variant: str) -> set[str]:
    return {layer["Ref"] for name in FUNCTIONS for layer in properties(name, variant)["Layers"]}


def test_another_layer_alone_is_not_published() -> None:
    """The trap: the functions get the layer, `live` goes on with the version before."""
    assert layers("plain") != layers("other layer")
    assert versions("plain") == versions("other layer")


def test_another_release_publishes_every_function_whatever_changed() -> None:
    before, after = versions("released"), versions("other layer, next release")

    assert layers("released") != layers("other layer, next release")
    assert all(before[name] != after[name] for name in FUNCTIONS)


def test_without_a_release_code_that_changed_is_published() -> None:
    before, after = versions("plain"), versions("other code")

    assert all(before[name] != after[name] for name in FUNCTIONS)


@pytest.mark.parametrize("change", ["other layer, same release", "other code, same release"])
def test_under_the_same_release_nothing_is_published(change: str) -> None:
    """The second trap, and why a stack that was given a release is given one each time."""
    assert versions("released") == versions(change)


def test_a_release_changes_the_function_itself() -> None:
    """Lambda refuses to publish a function that did not change, and the deployment would fail."""
    for name in FUNCTIONS:
        before = properties(name, "released")["Description"]
        after = properties(name, "other layer, next release")["Description"]

        assert before != after
        assert len(before) <= 256


def test_versions_outlive_their_place_in_the_template() -> None:
    found = resources("AWS::Lambda::Version")

    assert len(found) == len(FUNCTIONS)
    assert {each["DeletionPolicy"] for each in found.values()} == {"Retain"}


def test_all_at_once_there_is_no_codedeploy() -> None:
    kinds = {each["Type"] for each in resources().values()}
    aliases = resources("AWS::Lambda::Alias")

    assert not [kind for kind in kinds if "CodeDeploy" in kind]
    assert set(aliases) == {f"{name}Aliaslive" for name in FUNCTIONS}
    assert not [name for name, each in aliases.items() if "UpdatePolicy" in each]


def test_gradually_each_function_is_a_canary_that_alarms_take_back() -> None:
    groups = resources("AWS::CodeDeploy::DeploymentGroup", "gradual")
    alarms = resources("AWS::CloudWatch::Alarm")

    assert set(groups) == {f"{name}DeploymentGroup" for name in FUNCTIONS}
    for name in FUNCTIONS:
        group = groups[f"{name}DeploymentGroup"]["Properties"]
        policy = resources(variant="gradual")[f"{name}Aliaslive"]["UpdatePolicy"]
        watched = [each["Name"]["Ref"] for each in group["AlarmConfiguration"]["Alarms"]]
        assert policy["CodeDeployLambdaAliasUpdate"]["DeploymentGroupName"] == {
            "Ref": f"{name}DeploymentGroup"
        }
        assert group["DeploymentConfigName"]["Fn::Sub"][1] == {
            "ConfigName": "Canary10Percent5Minutes"
        }
        assert group["AlarmConfiguration"]["Enabled"] is True
        assert "DEPLOYMENT_STOP_ON_ALARM" in group["AutoRollbackConfiguration"]["Events"]
        assert set(watched) <= set(alarms)
        assert watched == [
            "ApiUnexpectedErrorAlarm",
            "CallbackNotEnqueuedAlarm",
            "ReconcileFailedAlarm",
            "ApiErrorsAlarm",
            "WebhookErrorsAlarm",
            "WorkerErrorsAlarm",
        ]


def test_who_shifts_traffic_may_do_that_and_is_codedeploy_alone() -> None:
    [name] = set(resources("AWS::IAM::Role", "gradual")) - set(resources("AWS::IAM::Role"))
    role = properties(name, "gradual")

    assert trusted(role) == ["codedeploy.amazonaws.com"]
    assert managed(role) == ["AWSCodeDeployRoleForLambda"]
    assert "Policies" not in role


# ── Who calls whom ───────────────────────────────────────────────────────────────────────────────


def test_the_api_calls_aliases() -> None:
    called = {function for _, function in routes(properties("HttpApi")["Body"])}

    assert called == {"ApiFunctionAliaslive", "WebhookFunctionAliaslive"}


def test_each_route_may_call_its_alias_and_nothing_else_may() -> None:
    permissions = [each["Properties"] for each in resources("AWS::Lambda::Permission").values()]
    allowed = [(_route(each["SourceArn"]), each["FunctionName"]["Ref"]) for each in permissions]
    asked = {
        (re.sub(r"\{\w+\}", "*", "*" if key == "$default" else key.replace(" ", "")), function)
        for key, function in routes(properties("HttpApi")["Body"])
    }

    assert set(allowed) == asked
    assert len(allowed) == len(asked)
    assert {each["Principal"] for each in permissions} == {"apigateway.amazonaws.com"}


def _route(source: Table) -> str:
    return str(source["Fn::Sub"][0]).partition("${__Stage__}/")[2]


def test_queue_and_schedule_call_aliases() -> None:
    [mapping] = resources("AWS::Lambda::EventSourceMapping").values()
    [schedule] = resources("AWS::Scheduler::Schedule").values()
    [invoke] = resources("AWS::Lambda::EventInvokeConfig").values()
    role = properties("SweepFunctionEveryMinuteRole")

    assert mapping["Properties"]["FunctionName"] == {"Ref": "WorkerFunctionAliaslive"}
    assert mapping["Properties"]["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert schedule["Properties"]["Target"]["Arn"] == {"Ref": "SweepFunctionAliaslive"}
    assert invoke["Properties"]["Qualifier"] == "live"
    assert statements(role)[0]["Resource"] == {"Ref": "SweepFunctionAliaslive"}


# ── What is kept ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["TasksTable", "ImagesBucket"])
def test_table_and_bucket_survive_the_stack(name: str) -> None:
    found = resources()[name]

    assert (found["DeletionPolicy"], found["UpdateReplacePolicy"]) == ("Retain", "Retain")


def test_the_table_is_encrypted_goes_back_in_time_and_is_not_deleted_by_mistake() -> None:
    table = properties("TasksTable")

    assert table["SSESpecification"] == {"SSEEnabled": True}
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["DeletionProtectionEnabled"] is True


def test_the_bucket_is_encrypted_and_nobodys_but_ours() -> None:
    bucket = properties("ImagesBucket")
    [encryption] = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]

    assert encryption["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    assert bucket["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    assert bucket["PublicAccessBlockConfiguration"] == {
        "BlockPublicAcls": True,
        "BlockPublicPolicy": True,
        "IgnorePublicAcls": True,
        "RestrictPublicBuckets": True,
    }


def rules(**parameters: str) -> dict[str, Table]:
    said = resolved(properties("ImagesBucket")["LifecycleConfiguration"]["Rules"], **parameters)
    assert all(rule["Status"] == "Enabled" for rule in said)
    return {rule["Id"]: rule for rule in said}


def test_what_is_overwritten_or_deleted_is_gone_after_a_day() -> None:
    assert properties("ImagesBucket")["VersioningConfiguration"] == {"Status": "Enabled"}
    rule = rules()["earlier-versions"]
    assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 1}
    assert rule["ExpiredObjectDeleteMarker"] is True
    assert "Prefix" not in rule


def test_uploads_go_by_themselves() -> None:
    assert rules()["reference-images"]["Prefix"] == "uploads/"
    assert rules()["reference-images"]["ExpirationInDays"] == 1
    assert rules()["aborted-uploads"]["AbortIncompleteMultipartUpload"] == {
        "DaysAfterInitiation": 1
    }


def test_images_go_only_when_a_retention_is_asked_for() -> None:
    expiring = {rule.get("Prefix") for rule in rules().values() if "ExpirationInDays" in rule}
    rule = rules(ImageRetentionDays="30")["images"]

    assert expiring == {"uploads/"}
    assert (rule["Prefix"], rule["ExpirationInDays"]) == ("images/", "30")


def test_the_bucket_is_reached_over_tls_and_an_image_is_written_once() -> None:
    found = properties("ImagesBucketPolicy")["PolicyDocument"]["Statement"]
    tls, once = found
    here = {"aws:SourceIp": "127.0.0.0/8"}

    assert {each["Effect"] for each in found} == {"Deny"}
    assert {each["Principal"] for each in found} == {"*"}
    assert tls["Action"] == "s3:*"
    assert tls["Condition"] == {"Bool": {"aws:SecureTransport": "false"}, "NotIpAddress": here}
    assert once["Action"] == "s3:PutObject"
    assert once["Resource"] == {"Fn::Sub": "${ImagesBucket.Arn}/images/*"}
    assert once["Condition"] == {"Null": {"s3:if-none-match": "true"}, "NotIpAddress": here}


def test_every_function_logs_into_a_group_of_its_own_that_forgets() -> None:
    groups = resources("AWS::Logs::LogGroup")
    used = [properties(name)["LoggingConfig"]["LogGroup"]["Ref"] for name in FUNCTIONS]
    stage = properties("HttpApiApiGatewayDefaultStage")["AccessLogSettings"]

    assert len(set(used)) == len(FUNCTIONS)
    assert set(groups) == {*used, stage["DestinationArn"]["Fn::GetAtt"][0]}
    for group in groups.values():
        assert group["Properties"]["RetentionInDays"] == {"Ref": "LogRetentionDays"}


def test_what_cannot_be_heard_is_kept_for_two_weeks() -> None:
    redrive = properties("TaskQueue")["RedrivePolicy"]
    schedule = properties("SweepFunctionEveryMinute")["Target"]
    failing = properties("SweepFunctionEventInvokeConfig")["DestinationConfig"]["OnFailure"]
    failed = {"Fn::GetAtt": ["FailedInvocationQueue", "Arn"]}

    assert redrive["deadLetterTargetArn"] == {"Fn::GetAtt": ["TaskDeadLetterQueue", "Arn"]}
    assert schedule["DeadLetterConfig"] == {"Arn": failed}
    assert failing == {"Destination": failed}
    for name, queue in resources("AWS::SQS::Queue").items():
        assert queue["Properties"]["SqsManagedSseEnabled"] is True
        if name != "TaskQueue":
            assert queue["Properties"]["MessageRetentionPeriod"] == 14 * 24 * 3600


def test_a_bell_comes_back_only_after_the_worker_is_certainly_dead() -> None:
    """AWS wants six times the function's timeout."""
    queue, worker = properties("TaskQueue"), properties("WorkerFunction")

    assert queue["VisibilityTimeout"] >= 6 * worker["Timeout"]


# ── What is let in ───────────────────────────────────────────────────────────────────────────────


def test_throttles_are_on_routes_that_there_are() -> None:
    stage = properties("HttpApiApiGatewayDefaultStage")
    keys = {key for key, _ in routes(properties("HttpApi")["Body"])}
    every = [stage["DefaultRouteSettings"], *stage["RouteSettings"].values()]

    assert set(stage["RouteSettings"]) == {"POST /callbacks/poyo/{kid}/{task_id}/{mac}", "$default"}
    assert set(stage["RouteSettings"]) <= keys
    assert all({"ThrottlingRateLimit", "ThrottlingBurstLimit"} == set(each) for each in every)
    assert stage["DefaultRouteSettings"]["ThrottlingRateLimit"] == {"Ref": "RequestsPerSecond"}


def test_the_access_log_is_json_and_names_no_path() -> None:
    """A path may be a capability."""
    said = properties("HttpApiApiGatewayDefaultStage")["AccessLogSettings"]["Format"]

    assert json.loads(said)["route"] == "$context.routeKey"
    assert not re.search(r"\$context\.(path|protocol|authorizer)|querystring|header", said)


@pytest.mark.parametrize("count", ["0", "7"])
def test_executions_are_reserved_when_asked_for(count: str) -> None:
    for name in ("ApiFunction", "WebhookFunction"):
        said = {"reserved": properties(name)["ReservedConcurrentExecutions"]}
        assert resolved(said, ReservedConcurrency=count).get("reserved") == (
            None if count == "0" else count
        )


# ── Who may do what ──────────────────────────────────────────────────────────────────────────────


def trusted(role: Table) -> list[str]:
    [statement] = role["AssumeRolePolicyDocument"]["Statement"]
    found: list[str] = statement["Principal"]["Service"]
    return found


def managed(role: Table) -> list[str]:
    return [arn.rpartition("/")[2] for arn in role.get("ManagedPolicyArns", [])]


def statements(role: Table) -> list[Table]:
    return [each for one in role["Policies"] for each in one["PolicyDocument"]["Statement"]]


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


# What SAM attaches by itself, each AWS's own: to write logs, and to take from a queue.
LOGS, QUEUE = "AWSLambdaBasicExecutionRole", "AWSLambdaSQSQueueExecutionRole"
MANAGED = {
    "ApiFunctionRole": [LOGS],
    "WebhookFunctionRole": [LOGS],
    "WorkerFunctionRole": [LOGS, QUEUE],
    "SweepFunctionRole": [LOGS],
    "SweepFunctionEveryMinuteRole": [],
}
# Each statement's reason stands beside it in the template.
MAY = {
    "ApiFunctionRole": {
        "TasksTable": "dynamodb: BatchGetItem GetItem PutItem UpdateItem",
        "TasksTable/index/listed": "dynamodb: Query",
        "TasksTable/index/listed_status": "dynamodb: Query",
        "ImagesBucket/images/*": "s3: GetObject",
        "ImagesBucket/uploads/*": "s3: GetObject PutObject",
        "TaskQueue": "sqs: SendMessage",
        "ApiSecret": "secretsmanager: GetSecretValue",
        "CallbackSecret": "secretsmanager: GetSecretValue",
    },
    "WebhookFunctionRole": {
        "TaskQueue": "sqs: SendMessage",
        "CallbackSecret": "secretsmanager: GetSecretValue",
    },
    "WorkerFunctionRole": {
        "TasksTable": "dynamodb: GetItem PutItem UpdateItem",
        "ImagesBucket/images/*": "s3: DeleteObject GetObject PutObject",
        "ImagesBucket/uploads/*": "s3: GetObject",
        "TaskQueue": "sqs: SendMessage",
        "ApiSecret": "secretsmanager: GetSecretValue",
        "CallbackSecret": "secretsmanager: GetSecretValue",
    },
    "SweepFunctionRole": {
        "TasksTable/index/due": "dynamodb: Query",
        "TasksTable": "dynamodb: UpdateItem",
        "TaskQueue": "sqs: SendMessage",
        "FailedInvocationQueue": "sqs: SendMessage",
    },
    "SweepFunctionEveryMinuteRole": {
        "SweepFunctionAliaslive": "lambda: InvokeFunction",
        "FailedInvocationQueue": "sqs: SendMessage",
    },
}


def place(resource: Any) -> str:
    """A statement's resource as a thing of this stack and a path in it."""
    match resource:
        case {"Ref": name}:
            return str(name)
        case {"Fn::GetAtt": [name, "Arn" | "Id"]}:
            return str(name)
        case {"Fn::Sub": text}:
            return re.sub(r"^\$\{(\w+)\.Arn\}", r"\1", text)
    raise AssertionError(f"not a thing of this stack: {resource}")


def may(role: Table) -> dict[str, str]:
    """Actions by place."""
    found: dict[str, set[str]] = {}
    for statement in statements(role):
        assert statement["Effect"] == "Allow"
        for resource in listed(statement["Resource"]):
            found.setdefault(place(resource), set()).update(listed(statement["Action"]))
    services = {name: {each.split(":")[0] for each in actions} for name, actions in found.items()}
    assert all(len(each) == 1 for each in services.values())
    return {
        name: f"{services[name].pop()}: {' '.join(sorted(each.split(':')[1] for each in actions))}"
        for name, actions in found.items()
    }


def test_the_roles_are_these_and_what_aws_gives_them() -> None:
    assert {name: managed(role["Properties"]) for name, role in _roles().items()} == MANAGED


@pytest.mark.parametrize("name", MAY)
def test_a_role_may_do_what_its_work_needs(name: str) -> None:
    role = properties(name)
    service = "scheduler" if name == "SweepFunctionEveryMinuteRole" else "lambda"

    assert may(role) == MAY[name]
    assert trusted(role) == [f"{service}.amazonaws.com"]


def _roles() -> dict[str, Table]:
    return resources("AWS::IAM::Role")


def test_only_the_bucket_policy_speaks_of_everybody() -> None:
    text = json.dumps([role["Properties"]["Policies"] for role in _roles().values()])

    assert not re.search(r'"(\w+:)?\*"', text)


def test_functions_their_roles_and_the_table_are_tagged() -> None:
    tagged = [*FUNCTIONS, *(f"{name}Role" for name in FUNCTIONS), "TasksTable"]

    for name in tagged:
        assert {"Key": "application", "Value": "imagetasks"} in properties(name)["Tags"], name


# ── What a deployment is asked and told ──────────────────────────────────────────────────────────


def parameters() -> dict[str, Table]:
    found: dict[str, Table] = translated()["plain"]["Parameters"]
    return found


def test_every_parameter_is_described_and_its_default_is_one_it_takes() -> None:
    for name, each in parameters().items():
        default = str(each["Default"])
        assert len(each["Description"]) > 30, name
        if "AllowedValues" in each:
            assert default in map(str, each["AllowedValues"]), name
        elif each["Type"] == "Number":
            assert each["MinValue"] <= float(default) <= each["MaxValue"], name
        else:
            assert re.fullmatch(each["AllowedPattern"], default), name
            assert each.get("ConstraintDescription") or name == "Architecture", name


def test_the_readme_names_every_parameter_and_its_default() -> None:
    deploying = README.split("## Deploying to AWS")[1]
    table = dict(re.findall(r"^\| `(\w+)` \| (.+?) \|", deploying, re.MULTILINE))
    words = {"empty": "", "PoYo's": parameters()["DownloadHosts"]["Default"]}

    assert set(table) == set(parameters())
    for name, said in table.items():
        default = said.strip("`")
        assert words.get(default, default) == str(parameters()[name]["Default"]), name


def test_every_output_is_described() -> None:
    for name, each in translated()["plain"]["Outputs"].items():
        assert len(each["Description"]) > 15, name


@pytest.mark.parametrize(
    ("condition", "parameter", "no", "yes"),
    [
        ("HasAlarmEmail", "AlarmEmail", "", "a@example.org"),
        ("HasReservedConcurrency", "ReservedConcurrency", "0", "1"),
        ("HasRetention", "ImageRetentionDays", "0", "30"),
        ("HasSavedQueries", "SavedQueries", "false", "true"),
        ("HasCors", "CorsOrigins", "", "https://app.example"),
    ],
)
def test_a_condition_follows_its_parameter(
    condition: str, parameter: str, no: str, yes: str
) -> None:
    document = translated()["plain"]

    assert not holds(Template(document, {parameter: no}), {"Condition": condition})
    assert holds(Template(document, {parameter: yes}), {"Condition": condition})


# ── What a person looks at ───────────────────────────────────────────────────────────────────────


def emitted() -> set[str]:
    """Metrics that the code can count: pages, counts and gauges, and an end for each reason."""
    code = "\n".join(path.read_text() for path in (ROOT / "functions").rglob("*.py"))
    named = re.findall(r'\b(?:page|gauge|count)\(\s*"(\w+)"', code)
    named += ["finished", *(f"failed_{reason}" for reason in REASONS)]
    return {"".join(word.capitalize() for word in name.split("_")) for name in named}


AWS_METRICS = {
    "AWS/SQS": {"ApproximateNumberOfMessagesVisible"},
    "AWS/ApiGateway": {"Count", "4xx", "5xx", "Latency", "IntegrationLatency", "DataProcessed"},
}
ATTRIBUTES = {
    "AWS::CloudWatch::Alarm": "Arn",
    "AWS::SQS::Queue": "QueueName",
    "AWS::ApiGatewayV2::Api": "",
}


def dashboard() -> Table:
    """The body as CloudWatch gets it, each reference replaced by the name of what it refers to."""
    said = properties("Dashboard")["DashboardBody"]["Fn::Sub"]
    for name, attribute in re.findall(r"\$\{(\w+)\.?(\w*)\}", said):
        assert ATTRIBUTES[resources()[name]["Type"]] == attribute, name
    body: Table = json.loads(re.sub(r"\$\{(AWS::\w+|\w+)[.\w]*\}", r"\1", said))
    return body


def widgets(kind: str) -> list[Table]:
    return [each["properties"] for each in dashboard()["widgets"] if each["type"] == kind]


def spelt(metrics: list[list[Any]]) -> list[list[str]]:
    """CloudWatch's shorthand written out: `.` is the same as above, `...` all that leads to the end."""
    rows: list[list[str]] = []
    for metric in metrics:
        row = [each for each in metric if isinstance(each, str)]
        if row[0] == "...":
            row = rows[-1][: 1 - len(row)] + row[1:]
        rows.append([rows[-1][n] if each == "." else each for n, each in enumerate(row)])
    return rows


def test_the_dashboard_shows_every_alarm() -> None:
    [widget] = widgets("alarm")

    assert sorted(widget["alarms"]) == sorted(resources("AWS::CloudWatch::Alarm"))


def test_the_dashboard_draws_only_what_is_measured() -> None:
    drawn = [row for widget in widgets("metric") for row in spelt(widget["metrics"])]

    assert len(drawn) >= 20
    for namespace, metric, *dimensions in drawn:
        if namespace == "AWS::StackName":
            assert metric in emitted(), metric
            assert dimensions == ["service", telemetry.SERVICE]
        else:
            assert metric in AWS_METRICS[namespace]
            assert dimensions[0] in ("QueueName", "ApiId")
            assert dimensions[1] in resources()
    assert {metric for namespace, metric, *_ in drawn if namespace == "AWS::StackName"} >= {
        f"Failed{reason.title().replace('_', '')}" for reason in REASONS
    } | {"Finished"}


def test_no_widget_lies_on_another_or_over_the_edge() -> None:
    taken = [
        (x, y)
        for each in dashboard()["widgets"]
        for x in range(each["x"], each["x"] + each["width"])
        for y in range(each["y"], each["y"] + each["height"])
    ]

    assert len(taken) == len(set(taken))
    assert max(x for x, _ in taken) < 24


def logged(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Every field that a line can have: those of a transition, and the facts of all notes."""
    [handler] = telemetry.log.handlers
    line = io.StringIO()
    monkeypatch.setattr(handler, "stream", line)
    kept = StoredImage(
        key="k", content_type="image/png", bytes=1, width=1, height=1, sha256="0" * 64
    )
    ended = task(files=(kept,), reason="upstream", poyo_id="p")  # what is None is not logged
    telemetry.log_transition("finish", True, ended)
    calls = [
        node
        for path in (ROOT / "functions").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).split(".")[-1] in ("note", "warn", "page")
    ]
    facts = {str(each.arg) for call in calls for each in call.keywords if each.arg}
    return set(json.loads(line.getvalue())) | facts


# Insights' own, and the names that the queries give.
WORDS = set(
    re.findall(
        r"\w+",
        "filter sort asc desc display limit stats count by bin as and in latest"
        "; tasks times an_example",
    )
)


def test_saved_queries_ask_for_fields_that_are_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    known = logged(monkeypatch)
    queries = resources("AWS::Logs::QueryDefinition")

    assert len(queries) >= 4
    for name, query in queries.items():
        text = re.sub(r'"[^"]*"', "", query["Properties"]["QueryString"])
        asked = set(re.findall(r"(?<![@\w])[a-z_]+\b", text)) - WORDS
        assert asked, name
        assert asked <= known, name
        assert set(re.findall(r"@\w+", text)) <= {"@timestamp"}, name


def test_saved_queries_look_where_it_is_said_and_for_what_is_said() -> None:
    for name, query in resources("AWS::Logs::QueryDefinition").items():
        groups = [each["Ref"] for each in query["Properties"]["LogGroupNames"]]
        said = query["Properties"]["QueryString"]
        assert set(groups) <= set(resources("AWS::Logs::LogGroup")), name
        assert set(re.findall(r'transition = "(\w+)"', said)) <= set(TRANSITIONS), name
        assert set(re.findall(r'message = "(\w+)"', said)) <= {"transition"}, name
