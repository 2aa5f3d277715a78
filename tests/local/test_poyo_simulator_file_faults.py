"""The simulated PoYo's faults in files."""

import struct
import time
from itertools import islice

import pytest
import requests

from tests.local.simulator_client import SimulatorClient

BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64)"}
PNG = b"\x89PNG\r\n\x1a\n"
END = b"IEND\xaeB`\x82"


def test_file_403_agent_accepts_only_browsers(poyo: SimulatorClient) -> None:
    task_id = poyo.finished_task("file-403-agent")

    assert poyo.file(task_id).status_code == 403
    assert poyo.file(task_id, headers=BROWSER).content.startswith(PNG)


@pytest.mark.parametrize(("fault", "status"), [("file-404", 404), ("file-500", 500)])
def test_a_file_fails_n_times(poyo: SimulatorClient, fault: str, status: int) -> None:
    task_id = poyo.finished_task(f"{fault}=2")

    assert [poyo.file(task_id).status_code for _ in range(3)] == [status, status, 200]
    assert poyo.task(task_id)["file_reads"] == 3


def test_file_octet_stream_has_the_bytes_of_the_image(poyo: SimulatorClient) -> None:
    response = poyo.file(poyo.finished_task("file-octet-stream"))

    assert response.headers["Content-Type"] == "application/octet-stream"
    assert response.content.endswith(END)


def test_file_trailer_follows_the_whole_image(poyo: SimulatorClient) -> None:
    image, _, trailer = poyo.file(poyo.finished_task("file-trailer bytes=7")).content.partition(END)

    assert image.startswith(PNG)
    assert trailer.endswith(b"ftypmp42" + bytes(7))


@pytest.mark.parametrize(
    ("fault", "content_type", "start"),
    [
        ("file-html", "text/html", b"<!doctype html>"),
        ("file-html content_type=image/png", "image/png", b"<!doctype html>"),
        ("file-svg", "image/svg+xml", b"<svg "),
    ],
)
def test_html_and_svg_files_replace_the_image(
    poyo: SimulatorClient, fault: str, content_type: str, start: bytes
) -> None:
    response = poyo.file(poyo.finished_task(fault))

    assert (response.status_code, response.headers["Content-Type"]) == (200, content_type)
    assert response.content.startswith(start)


def test_file_endless_continues_after_the_image(poyo: SimulatorClient) -> None:
    task_id = poyo.finished_task("file-endless=20000000")

    with poyo.file(task_id, stream=True) as response:
        pieces = list(islice(response.iter_content(65536), 64))

    assert pieces[0].startswith(PNG)
    assert sum(map(len, pieces)) > 10 * poyo.task(task_id)["bytes"]


def test_file_trickle_is_sent_at_its_rate(poyo: SimulatorClient) -> None:
    task_id = poyo.finished_task("file-trickle=2000")
    started = time.monotonic()

    with poyo.file(task_id, stream=True) as response:
        read = b"".join(islice(response.iter_content(100), 8))

    assert read.startswith(PNG)
    assert time.monotonic() - started > 0.3
    assert int(response.headers["Content-Length"]) == poyo.task(task_id)["bytes"]


def test_file_truncated_stops_half_way_with_a_wrong_or_a_matching_length(
    poyo: SimulatorClient,
) -> None:
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
        poyo.file(poyo.finished_task("file-truncated"))

    task_id = poyo.finished_task("file-truncated honest=true")
    content = poyo.file(task_id).content
    assert len(content) == poyo.task(task_id)["bytes"] // 2
    assert not content.endswith(END)


def test_file_longer_sends_more_than_its_content_length(poyo: SimulatorClient) -> None:
    task_id = poyo.finished_task("file-longer")
    whole = poyo.task(task_id)["bytes"]

    response = poyo.file(task_id)

    assert len(response.content) == int(response.headers["Content-Length"]) == whole // 2


def test_file_redirect_private_points_at_the_metadata_service(poyo: SimulatorClient) -> None:
    response = poyo.file(poyo.finished_task("file-redirect-private"))

    assert response.status_code == 302
    assert response.headers["Location"].startswith("http://169.254.169.254/")


def test_file_gzip_bomb_expands(poyo: SimulatorClient) -> None:
    task_id = poyo.finished_task("file-gzip-bomb=8")

    with poyo.file(task_id, stream=True) as response:
        raw = response.raw.read(decode_content=False)
    swollen = poyo.file(task_id).content

    assert response.headers["Content-Encoding"] == "gzip"
    assert len(raw) < poyo.task(task_id)["bytes"] + 100_000
    assert len(swollen) == poyo.task(task_id)["bytes"] + 8 * 1024 * 1024
    assert swollen.startswith(PNG)


def test_file_pixel_bomb_claims_huge_dimensions(poyo: SimulatorClient) -> None:
    content = poyo.file(poyo.finished_task("file-pixel-bomb")).content

    assert struct.unpack(">II", content[16:24]) == (50_000, 50_000)
    assert content.startswith(PNG)


def test_file_wrong_magic_is_not_a_png(poyo: SimulatorClient) -> None:
    response = poyo.file(poyo.finished_task("file-wrong-magic"))

    assert response.headers["Content-Type"] == "image/png"
    assert not response.content.startswith(PNG)
    assert response.content.endswith(END)
