"""Defects in what callers send and are told."""

from __future__ import annotations

from tests.mutation.mutant import Mutant

REPLAYS = "integration/handlers/test_api_replays.py"
UNKNOWN_INPUT = "integration/handlers/test_api_unknown_input.py"
POYO_COMPAT = "integration/handlers/test_api_poyo_compat.py"
JSON_BODY = "unit/api/test_json_body.py"
FIELD_ERRORS = "unit/api/test_field_errors.py"
UPLOADS = "integration/handlers/test_api_uploads.py"

CALLERS = (
    Mutant(
        "a replay is checked by the rules of today",
        "api/routes/orders.py",
        "    if earlier:\n        return",
        "    if earlier and order_request.validate(body, dependencies.models.by_id()):\n        return",
        REPLAYS,
    ),
    Mutant(
        "a limit is part of the order",
        "api/order_request.py",
        'if k != "max_credits"}',
        "}",
        REPLAYS,
    ),
    Mutant(
        "another order under a used key is taken for a replay",
        "workflows/place_order.py",
        "if task.fingerprint != fingerprint:",
        "if False:",
        REPLAYS,
    ),
    Mutant(
        "an unreadable replay denies the charge",
        "api/routes/orders.py",
        "charged=None, task_id=",
        "task_id=",
        REPLAYS,
    ),
    Mutant(
        "a query parameter of an order is ignored",
        "api/routes/orders.py",
        "        pagination.query_parameters(event)\n        body = json",
        "        body = json",
        UNKNOWN_INPUT,
    ),
    Mutant(
        "a query parameter of a quote is ignored",
        "api/routes/orders.py",
        "        pagination.query_parameters(event)\n        models = self",
        "        models = self",
        UNKNOWN_INPUT,
    ),
    Mutant(
        "two joined idempotency keys are a third one",
        "api/request.py",
        "[ -+\\--~]{1,255}",
        "[ -~]{1,255}",
        UNKNOWN_INPUT,
    ),
    Mutant(
        "a blank idempotency key is none",
        "api/request.py",
        "    if key is None:\n        return None\n",
        "    if not (key or '').strip():\n        return None\n",
        UNKNOWN_INPUT,
    ),
    Mutant(
        "the last of two equal names wins",
        "api/json_body.py",
        "    if len(found) == len(pairs):\n",
        "    if True:\n",
        UNKNOWN_INPUT,
    ),
    Mutant(
        "NaN is a number",
        "api/json_body.py",
        "not abs(value) <= sys.float_info.max",
        "abs(value) > sys.float_info.max",
        JSON_BODY,
    ),
    Mutant(
        "an order in UTF-16 is read",
        "api/json_body.py",
        "json.loads(text,",
        "json.loads(body,",
        JSON_BODY,
    ),
    Mutant(
        "a pointer leaves out a name and names what is below it",
        "api/json_body.py",
        "        if below != pointer:\n            yield from",
        "        if True:\n            yield from",
        JSON_BODY,
    ),
    Mutant(
        "a field called [key] is a defect of this service",
        "api/field_errors.py",
        "len(path) > 2 and path[-1] == KEY",
        "path[-1] == KEY",
        UNKNOWN_INPUT,
    ),
    Mutant(
        "a field beside its object is told nothing",
        "poyo/input_words.py",
        "places = {**(elsewhere or {}), ",
        "places = {",
        FIELD_ERRORS,
    ),
    Mutant(
        "an order without a model names an unknown one",
        "api/poyo_problems.py",
        "is_unknown_model(problem.errors)",
        'pointers == ["/model"]',
        POYO_COMPAT,
    ),
    Mutant(
        "the whole body has no name in an error of PoYo's shape",
        "api/poyo_problems.py",
        "each['pointer'] or 'body'",
        "each['pointer'] or None",
        POYO_COMPAT,
    ),
    Mutant(
        "the replay of a deleted order denies its charge",
        "api/problems.py",
        '    "This Idempotency-Key stands for a task that was deleted. A new order needs a new key.",\n'
        "    charged=None,\n",
        '    "This Idempotency-Key stands for a task that was deleted. A new order needs a new key.",\n',
        "integration/handlers/test_api_tasks.py",
    ),
    Mutant(
        "a prompt of combining marks is visible",
        "api/order_input.py",
        '"Mc", "Me", "Mn", ',
        "",
        FIELD_ERRORS,
    ),
    Mutant(
        "a long data: URL is told its length",
        "api/order_input.py",
        'if url.lstrip()[:5].lower() == "data:":',
        'if url.lstrip()[:5].lower() == "data:" and len(url) < MAX_URL_CHARS:',
        FIELD_ERRORS,
    ),
    Mutant(
        "only the first bad upload is named",
        "workflows/place_order.py",
        '                yield {"pointer": pointer, "detail": detail}\n',
        '                yield {"pointer": pointer, "detail": detail}\n                break\n',
        UPLOADS,
    ),
    Mutant(
        "a keyless order is invited to a repetition",
        "api/poyo_problems.py",
        "error_response(without_key(problem) if keyless_order else problem)",
        "error_response(problem)",
        POYO_COMPAT,
    ),
    Mutant(
        "a free failure has an unknown charge",
        "tasks/failure_reasons.py",
        "        return Decimal(0)\n",
        "        return None\n",
        "unit/api/test_schemas.py",
    ),
    Mutant(
        "a page is measured before Lambda escapes it",
        "api/routes/tasks.py",
        "    return len(json.dumps(text, ensure_ascii=False).encode())",
        "    return len(text.encode())",
        "integration/handlers/test_api_tasks.py",
    ),
    Mutant(
        "HEAD waits",
        "api/routes/tasks.py",
        "        wait_s = 0 if request.is_head(event) else wait_s\n",
        "",
        "integration/handlers/test_api.py",
    ),
)
