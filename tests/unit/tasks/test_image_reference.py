"""References in an order: uploads, images of this service, and public https URLs."""

import pytest

from imagetasks.tasks.image_reference import (
    ID_LENGTH,
    FileReference,
    TaskFile,
    file_reference,
    is_fetchable_url,
    is_upload,
    task_file,
    upload_id,
)
from imagetasks.tasks.signed_urls import file_path, file_token
from imagetasks.tasks.task import derive_task_id
from tests.fixtures.urls import FORBIDDEN_HOST_NAME_URLS, FORBIDDEN_URLS, UNENCODED_URLS

ID = "a2" * (ID_LENGTH // 2)


def test_upload_id_is_read_from_its_reference() -> None:
    assert is_upload(f"upload://{ID}")
    assert upload_id(f"upload://{ID}") == ID


@pytest.mark.parametrize(
    "url",
    [
        "",
        ID,
        "upload://",
        f"upload://{ID[1:]}",
        f"upload://{ID}a",
        f"upload://{ID.upper()}",
        f"upload://{ID[1:]}1",
        f"upload://{ID}\n",
        f"UPLOAD://{ID}",
        f" upload://{ID}",
        f"https://upload/{ID}",
    ],
)
def test_any_other_url_is_no_upload(url: str) -> None:
    assert not is_upload(url)
    with pytest.raises(ValueError, match="not the address of an upload"):
        upload_id(url)


@pytest.mark.parametrize("n", ["0", "7", "15", "99"])
def test_file_of_a_task_is_read_from_its_reference(n: str) -> None:
    assert task_file(f"task:{ID}/{n}") == TaskFile(ID, n)
    assert not is_upload(f"task:{ID}/{n}")


@pytest.mark.parametrize(
    "url",
    [
        "",
        f"{ID}/0",
        f"task:{ID}",
        f"task:{ID}/",
        f"task:{ID}/-1",
        f"task:{ID}/00",
        f"task:{ID}/100",
        f"task:{ID}/\u0663",
        f"task:{ID}/0/1",
        f"task:{ID}/0?download=1",
        f"task:{ID}/0\n",
        f"task:{ID[1:]}/0",
        f"task:{ID.upper()}/0",
        f"task://{ID}/0",
        f"TASK:{ID}/0",
        f" task:{ID}/0",
        f"upload://{ID}",
        f"https://img.example/files/{ID}/0/{'A' * 43}",
    ],
)
def test_any_other_url_is_no_file_of_a_task(url: str) -> None:
    assert task_file(url) is None


PRIVATE_NAMES = [
    "localhost.localdomain",
    "metadata.google.internal",
    "ip-10-0-0-1.eu-west-1.compute.internal",
    "printer.local",
    "a.localhost",
    "router.lan",
    "nas.home.arpa",
    "intranet.corp",
    "x.onion",
]


@pytest.mark.parametrize(
    "url",
    [
        *(url for url in FORBIDDEN_URLS if url not in FORBIDDEN_HOST_NAME_URLS and len(url) < 2048),
        *(url for url, _ in UNENCODED_URLS),
        *(f"https://{name}/a.png" for name in PRIVATE_NAMES),
        "https://0x7f.1/a.png",
        "https://0177.0.0.1/a.png",
        "https://example.com:8443/a.png",
    ],
)
def test_reference_that_a_notification_could_not_be_sent_to_is_refused(url: str) -> None:
    assert not is_fetchable_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/a.png",
        "https://example.com:443/a.png?b=c#d",
        "https://xn--bcher-kva.example/a%20b.png",
        "https://local.example/internal/a.png",
        "https://localhost.example.org/",
        "https://1.2.3.4.example.com/a.png",
        "https://EXAMPLE.com/A.png",
    ],
)
def test_public_https_url_is_fetchable(url: str) -> None:
    assert is_fetchable_url(url)


BASE = "https://img.example"
TASK_ID = derive_task_id("owner", "key")


def test_file_url_names_its_task_number_and_token() -> None:
    for n in (0, 15):
        path = file_path("key", TASK_ID, n)
        expected = FileReference(TASK_ID, str(n), file_token("key", n))
        for url in (BASE + path, f"{BASE}{path}?download=1"):
            assert file_reference(url, BASE) == expected
        assert file_reference(f"http://127.0.0.1:8787{path}", "http://127.0.0.1:8787") == expected


FILE_PATH = file_path("key", TASK_ID, 0)


@pytest.mark.parametrize(
    "url",
    [
        f"https://evil.example{FILE_PATH}",
        f"{BASE}.evil.example{FILE_PATH}",
        f"{BASE}:8443{FILE_PATH}",
        f"http://img.example{FILE_PATH}",
        f"{BASE}/v1/tasks/{TASK_ID}/files/0",
        f"{BASE}/files/{TASK_ID}/00/{file_token('key', 0)}",
        f"{BASE}/files/{TASK_ID}/0/",
        f"{BASE}/files/../files/{TASK_ID}/0/{file_token('key', 0)}",
        f"{BASE}{FILE_PATH}/",
        f"{BASE}{FILE_PATH}?width=9",
        f"{BASE}{FILE_PATH}#x",
        f"{BASE}/{FILE_PATH}",
        FILE_PATH,
        "",
    ],
)
def test_any_other_url_names_no_file(url: str) -> None:
    assert file_reference(url, BASE) is None
