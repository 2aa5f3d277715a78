"""What each event in events/ is answered with: the HTTP status, None where a function answers no HTTP."""

from __future__ import annotations

ANSWERS: dict[str, int | None] = {  # in the order in which they make sense
    "api-health": 200,
    "api-contract": 200,
    "api-catalogue": 200,
    "api-catalogue-model": 200,
    "api-estimate": 200,
    "api-create": 202,
    "api-read": 200,
    "api-list": 200,
    "api-list-status": 200,
    "api-drop-in-submit": 200,
    "api-drop-in-status": 200,
    "api-balance": 200,
    "api-upload": 201,
    "webhook-finished": 200,
    "webhook-wrapped-base64": 200,
    "webhook-odd-body": 200,
    "webhook-forged": 404,
    "worker-callback": None,
    "worker-sweep": None,
    "sweep-schedule": None,
    "api-create-invalid": 422,
    "api-invalid-upload": 422,
    "api-list-misspelt": 400,
    "api-file-forged": 404,
    "api-read-stranger": 401,
    "api-drop-in-stranger": 401,
    "api-no-route": 404,
}
AFTERWARDS = {"api-awaited": 200, "api-file": 302, "api-delete": 204}
