"""Defects in reading what PoYo answers: ids are kept, truth is about the question, refusals are PoYo's."""

from __future__ import annotations

from tests.mutation.mutant import Mutant

RESPONSES = "unit/poyo/test_responses.py"
MODERATION = "unit/poyo/test_moderation.py"
TRANSPORT = "integration/poyo/test_transport.py"

ANSWERS = (
    Mutant(
        "every body code below 400 counts as success",
        "poyo/answer.py",
        "return SUCCESS if number == 0 or 200 <= number < 300 else number",
        "return SUCCESS if number < 400 else number",
        RESPONSES,
    ),
    Mutant(
        "an accepted order whose code is a text or null is in doubt",
        "poyo/answer.py",
        "return SUCCESS if code is None or text(code).strip().lower() in SUCCESS_WORDS else 0",
        "return 0",
        RESPONSES,
    ),
    Mutant(
        "an id beside an error counts as accepted",
        "poyo/answer.py",
        "sure = self.code == SUCCESS and not self.says_error and",
        "sure = self.code == SUCCESS and",
        RESPONSES,
    ),
    Mutant(
        "an id in a doubtful answer is dropped",
        "poyo/responses.py",
        "raise SubmitOutcomeUnknown(detail, poyo_id=answer.ids[0])",
        "raise SubmitOutcomeUnknown(detail)",
        RESPONSES,
    ),
    Mutant(
        "a refusal that names an id counts as nothing created",
        "poyo/responses.py",
        "    if answer.ids:\n",
        "    if answer.ids and answer.code not in REFUSALS and answer.code != 429:\n",
        RESPONSES,
    ),
    Mutant(
        "the id in an answer that broke off is dropped",
        "poyo/client.py",
        "named = broken_id(error.partial)",
        "named = None",
        "unit/poyo/test_client.py",
    ),
    Mutant(
        "what was read of an answer that is too long is dropped",
        "poyo/transport.py",
        'raise ResponseLost("longer than 1 MiB", partial=bytes(body))',
        'raise ResponseLost("longer than 1 MiB")',
        TRANSPORT,
    ),
    Mutant(
        "less is read of an answer than a request may contain",
        "poyo/transport.py",
        "MAX_RESPONSE_BYTES = 1024 * 1024",
        "MAX_RESPONSE_BYTES = 64 * 1024",
        TRANSPORT,
    ),
    Mutant(
        "the status of another task is believed",
        "poyo/responses.py",
        'if poyo_id(task["task_id"]) != asked_id:',
        "if False:",
        RESPONSES,
    ),
    Mutant(
        "a 404 of anybody means that PoYo does not know the id",
        "poyo/responses.py",
        "if answer.code == 404 and answer.is_poyos and (answer.body_code == 404 or answer.error_type):",
        "if answer.code == 404:",
        RESPONSES,
    ),
    Mutant(
        "an error envelope without a task counts as a status",
        "poyo/answer.py",
        '            if found.get("task_id"):\n',
        '            if found.get("task_id") or found.get("status"):\n',
        RESPONSES,
    ),
    Mutant(
        "a proxy's refusal counts as PoYo's",
        "poyo/responses.py",
        "    if not answer.is_poyos:\n",
        "    if False:\n",
        RESPONSES,
    ),
    Mutant(
        "a 5xx that names a refusal counts as nothing created",
        "poyo/answer.py",
        "            if 500 <= each < 600 or each == 408:\n",
        "            if each == 408:\n",
        RESPONSES,
    ),
    Mutant(
        "a suspended account is told as the user's fault",
        "poyo/moderation.py",
        "    if _any_in(NOT_THE_USERS, spoken):\n",
        "    if False:\n",
        MODERATION,
    ),
    Mutant(
        "the prompt that an error repeats counts as its reason",
        "poyo/moderation.py",
        "spoken = [_without_echoes(each, prompt) for each in texts]",
        "spoken = texts",
        MODERATION,
    ),
    Mutant(
        "every address of a name gets the whole time to connect",
        "outbound/connection.py",
        "share_s = connect_left_s() / (len(addresses) - number)",
        "share_s = connect_s",
        TRANSPORT,
    ),
    Mutant(
        "a file that is no image spoils the images beside it",
        "workflows/copy_images.py",
        "            except NotAnImage as error:\n                invalid = error\n",
        "            except NotAnImage:\n                raise\n",
        "integration/workflows/test_copy_images.py",
    ),
    Mutant(
        "a file that is no image at first is left out at once",
        "workflows/copy_images.py",
        "if task.copy_attempts < len(self.clock.limits.fast_retry_s):",
        "if False:",
        "integration/workflows/test_copy_images.py",
    ),
    Mutant(
        "files that PoYo calls something else are copied as images",
        "poyo/result_files.py",
        "        return Kind.OTHER\n    content_type",
        "        return Kind.IMAGE\n    content_type",
        "unit/poyo/test_result_files.py",
    ),
)
