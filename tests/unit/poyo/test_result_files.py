"""Which files of a finished task are copied: every image, and what else was paid if there is none."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagetasks.poyo.result_files import image_urls
from imagetasks.tasks.task import MAX_FILES

PNG = "https://cdn.doculator.org/images/x/x.png"
JSON = "https://cdn.doculator.org/images/x/x.json"
BARE = "https://cdn.doculator.org/images/x"
MP4 = "https://cdn.doculator.org/images/x/x.mp4"


@pytest.mark.parametrize(
    ("task", "urls", "others"),
    [
        ({"files": [{"file_url": PNG, "file_type": "image"}]}, [PNG], 0),
        ({"files": [PNG]}, [PNG], 0),
        ({"files": PNG}, [PNG], 0),
        ({"files": {"file_url": PNG}}, [PNG], 0),
        ({"files": {"0": {"file_url": PNG}, "1": {"file_url": BARE}}}, [PNG, BARE], 0),
        ({"files": [{"file_url": [PNG, BARE], "file_type": "image"}]}, [PNG, BARE], 0),
        ({"files": [{"url": PNG}]}, [PNG], 0),
        ({"file_url": [PNG]}, [PNG], 0),
        ({"files": [], "file_url": PNG}, [PNG], 0),
        ({"files": [PNG, PNG]}, [PNG], 0),
        ({"files": [{"file_url": JSON, "file_type": "other"}, {"file_url": PNG}]}, [PNG], 1),
        ({"files": [{"file_url": MP4, "file_type": "video"}, {"file_url": PNG}]}, [PNG], 1),
        ({"files": [{"file_url": JSON}, {"file_url": BARE}]}, [BARE], 1),
        ({"files": [{"file_url": BARE, "format": "json"}, {"file_url": PNG}]}, [PNG], 1),
        ({"files": [{"file_url": BARE, "content_type": "text/html"}, PNG]}, [PNG], 1),
        ({"files": [{"file_url": BARE, "content_type": "image/webp"}]}, [BARE], 0),
        ({"files": [{"file_url": JSON, "file_type": "image"}]}, [JSON], 0),
        ({"files": [{"file_url": BARE, "file_type": "IMAGE/PNG"}]}, [BARE], 0),
        ({"files": [{"file_url": JSON}]}, [JSON], 0),
        ({"files": [{"file_url": MP4, "file_type": "video"}, {"file_url": JSON}]}, [JSON], 1),
        ({"files": [{"file_url": PNG, "file_type": "other"}]}, [PNG], 0),
        ({"files": [None, 7, {}, {"file_url": None}, "x", {"label": "a/b"}]}, [], 0),
        ({"files": [[[PNG]]]}, [PNG], 0),
        ({"files": {"images": [{"url": PNG}]}}, [PNG], 0),
        ({"files": {"images": [PNG], "content_type": "image/png"}}, [PNG], 0),
        ({"files": [{"images": [[{"url": PNG}]]}]}, [PNG], 0),
        ({"files": [{"file_url": {"url": PNG}}]}, [PNG], 0),
        ({"files": [{"file_url": [{"url": PNG}, {"url": BARE}]}]}, [PNG, BARE], 0),
        ({"files": [{"image_url": PNG}]}, [PNG], 0),
        ({"files": [{"picture": PNG, "label": "1/2"}]}, [PNG], 0),
        ({"files": json.dumps([{"file_url": PNG}])}, [PNG], 0),
        ({"files": ["/images/x.png"]}, ["/images/x.png"], 0),
        ({"files": [{"file_url": f" {PNG}\n", "file_type": " Image "}]}, [PNG], 0),
        ({"files": [{"file_url": JSON, "file_type": "other "}, PNG]}, [PNG], 1),
        ({"files": None}, [], 0),
        ({}, [], 0),
    ],
)
def test_images_are_told_from_other_files(task: Any, urls: list[str], others: int) -> None:
    assert image_urls(task) == (tuple(urls), others)


def test_as_many_images_are_taken_as_can_be_erased() -> None:
    urls, others = image_urls({"files": [f"{BARE}/{n}.png" for n in range(MAX_FILES + 2)]})

    assert (len(urls), others) == (MAX_FILES, 2)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda values: (
            st.lists(values)
            | st.dictionaries(st.sampled_from(["file_url", "url", "file_type", "0"]), values)
        ),
    )
)
def test_any_files_are_a_list_of_texts(files: Any) -> None:
    urls, others = image_urls({"files": files})

    assert all(url.strip() for url in urls)
    assert len(urls) <= MAX_FILES
    assert others >= 0
