"""botocore's descriptions of AWS as the layer has them: every call of our code works by them."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.loaders import Loader

from imagetasks.aws import client
from imagetasks.aws.client import shared_client
from imagetasks.aws.image_bucket import ImageBucket
from imagetasks.aws.secrets import CallbackKeys
from imagetasks.aws.table import Table
from imagetasks.aws.task_queue import NotificationQueue, TaskQueue
from imagetasks.aws.upload_bucket import UploadBucket
from imagetasks.outbound.download import DownloadedImage
from imagetasks.tasks.conditional_write import (
    Condition,
    ConditionFailed,
    PutItem,
    UpdateItem,
    absent,
)
from imagetasks.tasks.message import TaskMessage
from local import build
from local.processes import Processes
from tests.fixtures.images import png
from tests.support.emulated_aws import Cloud, aws
from tests.support.fakes import task
from tests.support.lambdas import recorded_aws_calls

REGIONS = ("eu-west-1", "us-east-1", "ap-southeast-5", "us-gov-west-1", "cn-north-1")
SERVICES = ("dynamodb", "s3", "secretsmanager", "sqs")
FREE = Condition((absent("pk"),))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The descriptions in the built layer."""
    build.ensure(Processes(tmp_path_factory.mktemp("build")), dict(os.environ))
    with build.read_lock():
        yield build.layer() / "botocore" / "data"


def session_of(data: Path) -> botocore.session.Session:
    """A session that reads these descriptions alone."""
    session = botocore.session.get_session()
    loader = Loader([str(data)], include_default_search_paths=False)
    session.register_component("data_loader", loader)
    return session


@pytest.fixture
def cloud(data: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """An emulated AWS, and clients that are made by the layer's descriptions."""
    session = session_of(data)
    monkeypatch.setattr(client, "_session", lambda: session)
    shared_client.cache_clear()
    with aws() as cloud:
        for name, value in cloud.environment().items():
            monkeypatch.setenv(name, value)
        yield cloud
    shared_client.cache_clear()


def test_every_operation_of_the_layer_works(cloud: Cloud) -> None:
    table, queue, images = (
        Table.from_env(),
        TaskQueue.from_env(shared_client("sqs")),
        ImageBucket.from_env(),
    )
    uploads, keys = (
        UploadBucket(images.client, images.bucket),
        CallbackKeys.from_env(shared_client("secretsmanager")),
    )
    calls = recorded_aws_calls(table.client, queue.client, images.client, keys.secret.client)

    table.put(PutItem(item={"pk": "a", "n": 1}, condition=FREE))
    with pytest.raises(ConditionFailed) as failed:
        table.put(PutItem(item={"pk": "a"}, condition=FREE))
    assert failed.value.item == {"pk": "a", "n": 1}
    table.update(UpdateItem(pk="a", condition=Condition(), values={"owner_key": "me"}))
    with pytest.raises(ConditionFailed) as cancelled:
        table.transact_write([PutItem(item={"pk": each}, condition=FREE) for each in ("b", "a")])
    assert (cancelled.value.which, cancelled.value.item["owner_key"]) == (1, "me")
    assert table.get("a")["owner_key"] == "me"
    assert table.batch_get(["a", "b"]).keys() == {"a"}
    assert table.query_due("0", now=1, limit=1) == []

    queue.send(TaskMessage(task_id="t", source="sweep"))
    queue.send_all([TaskMessage(task_id="t", source="sweep")])
    NotificationQueue.from_env(queue.client).send(
        task(notification_url="https://shop.example/hook")
    )
    assert keys.current()[0] == "k1"

    assert images.find("t", 0) is None
    image = images.put("t", 0, DownloadedImage.from_file(io.BytesIO(png())))
    assert images.put("t", 0, DownloadedImage.from_file(io.BytesIO(png()))) == image
    assert images.find("t", 0) == image
    for head in (False, True):
        assert image.key in images.presigned_url(image, head=head)
    form = uploads.presign_post("me", "image/png")
    cloud.client("s3").put_object(Bucket="images", Key=form.fields["key"], Body=png())
    assert uploads.validate("me", form.upload_id).content_type == "image/png"
    images.delete_all("t")
    assert images.find("t", 0) is None

    assert {each.partition(".")[2] for each in calls} == {
        "BatchGetItem", "GetItem", "PutItem", "Query", "TransactWriteItems", "UpdateItem",
        "DeleteObjects", "GetObject", "HeadObject", "PutObject", "GetSecretValue", "SendMessage",
        "SendMessageBatch",
    }  # fmt: skip


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("service", SERVICES)
def test_layer_has_the_same_address_of_a_service_in_every_region(
    service: str, region: str, data: Path
) -> None:
    sessions: list[Any] = [session_of(data), botocore.session.get_session()]
    trimmed, whole = (each.create_client(service, region_name=region) for each in sessions)

    assert trimmed.meta.endpoint_url == whole.meta.endpoint_url
    assert (
        trimmed.meta.service_model.signature_version == whole.meta.service_model.signature_version
    )
    assert trimmed.meta.service_model.signing_name == whole.meta.service_model.signing_name
