"""References to uploads in an order. Public https URLs are tested with the validation of orders."""

import pytest

from imagetasks.tasks.image_reference import ID_LENGTH, is_upload, upload_id

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
