"""New server keys: random, and recognised by secret scanners."""

from __future__ import annotations

import re

from cli.secret_changes import new_server_key


def test_new_server_key_has_the_prefix_that_secret_scanners_know_and_256_random_bits() -> None:
    keys = {new_server_key() for _ in range(100)}

    assert len(keys) == 100
    assert all(re.fullmatch(r"it_sk_[A-Za-z0-9_-]{43}", key) for key in keys)
