"""The simulated secrets: two JSON documents that the operator rotates during a run."""

from __future__ import annotations

import json
from typing import Any

from tests.simulation.bucket import aws_error
from tests.simulation.scheduler import Simulator
from tests.simulation.short_day import DAY_MS

SIGNING_KEY = "CANARY-signing-key"
# The notifications to the other owner are not signed.
NOTIFICATION_KEYS = {"owner0": "CANARY-notification-key"}
# A callback key is retired so long after its rotation: open tasks need their key until then.
OVERLAP_MS = 2 * DAY_MS


class SimulatedSecrets:
    """`get_secret_value` of boto3's Secrets Manager client, and the operator's key rotations."""

    def __init__(self, simulator: Simulator) -> None:
        self.poyo_keys = ["sk-CANARY-1"]
        self.accepted = {"sk-CANARY-1"}
        self.kids = ["k1"]
        self.retired = "k0"
        self.changed_at = 0
        self.failed = 0
        self._simulator = simulator

    def get_secret_value(self, *, SecretId: str) -> Any:  # noqa: N803
        """The current value of a secret."""

        def act() -> str:
            fault = self._simulator.fault("secrets.get")
            self.failed += fault is not None
            if fault == "unavailable":
                raise aws_error("InternalServiceError", 500)
            if fault:
                return "{" if fault == "not_json" else "{}"
            return json.dumps(self._api() if SecretId == "api" else self._callback())

        return {"SecretString": self._simulator.effect("secrets.get", act)}

    def rotate_poyo(self, *, overlap_s: float) -> None:
        """Store a new PoYo API key; PoYo accepts the old one for `overlap_s` more."""
        old, new = self.poyo_keys[-1], f"sk-CANARY-{len(self.poyo_keys) + 1}"
        self.poyo_keys.append(new)
        self.accepted.add(new)
        self.changed_at = self._simulator.now
        self._simulator.counts["event", "api_key_rotated"] += 1
        self._simulator.record(
            "operator", "rotates PoYo's key", f"the old key is valid for {overlap_s} s more"
        )
        self._simulator.after(overlap_s, lambda: self.accepted.discard(old))

    def rotate_callback(self) -> None:
        """Store a new key for callback URLs; the old one stays valid for two days."""
        old, new = self.kids[-1], f"k{len(self.kids) + 1}"
        self.kids.append(new)
        self._simulator.counts["event", "callback_key_rotated"] += 1
        self._simulator.record("operator", "rotates the callback key", f"{old} to {new}")
        self._simulator.at(self._simulator.now + OVERLAP_MS, lambda: self._retire(old))

    def _retire(self, kid: str) -> None:
        self.retired = kid
        self._simulator.record("operator", "retires a callback key", kid)

    def _api(self) -> dict[str, Any]:
        return {"poyo_api_key": self.poyo_keys[-1], "notification_signing_keys": NOTIFICATION_KEYS}

    def _callback(self) -> dict[str, Any]:
        live = self.kids[self.kids.index(self.retired) + 1 :] if self.retired != "k0" else self.kids
        keys = {kid: f"CANARY-callback-key-{kid}" for kid in live}
        signing = (
            {"poyo_callback_signing_key": SIGNING_KEY}
            if self._simulator.scenario.signed_callbacks
            else {}
        )
        return {"current": self.kids[-1]} | keys | signing
