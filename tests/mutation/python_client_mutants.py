"""Defects of the Python client and the command line that order twice, lose a task, or burden the service."""

from __future__ import annotations

from tests.mutation.mutant import Mutant

CLIENT = "clients/test_python_client.py"
TOKENS = "clients/test_python_tokens.py"
COMMANDS = "clients/test_command_line.py"
FAULTS = "clients/test_command_line_faults.py"
SOURCE = "clients/python/src/imagetasks_client"

PYTHON_CLIENT = (
    Mutant(
        "the Python client repeats an order under a new key",
        f"{SOURCE}/exchange.py",
        "        yield Pause(wait_s)\n",
        "        yield Pause(wait_s)\n"
        '        if "Idempotency-Key" in request.headers:\n'
        '            request = replace(request, headers={"Idempotency-Key": str(attempt)})\n',
        CLIENT,
    ),
    Mutant(
        "an error of the Python client does not name the task",
        f"{SOURCE}/operations.py",
        "        error.task_id = error.task_id or task_id\n",
        "",
        CLIENT,
    ),
    Mutant(
        "the bucket and other hosts get the key",
        f"{SOURCE}/connection.py",
        "return self.auth if send.to_service else None",
        "return self.auth",
        CLIENT,
    ),
    Mutant(
        "each request of the Python client renews a refused token",
        f"{SOURCE}/bearer.py",
        "        with self._lock:\n            if not self._serves(self._renew_at, refused):",
        "        with self._lock:\n            if True:",
        TOKENS,
    ),
    Mutant(
        "the command line stores an order after its answer",
        f"{SOURCE}/cli/generate.py",
        "        write_all(orders)\n",
        "        pass\n",
        COMMANDS,
    ),
    Mutant(
        "the command line keeps orders that it said were not ordered",
        f"{SOURCE}/cli/journal.py",
        "        for each in orders:\n            each.remove()\n",
        "",
        FAULTS,
    ),
    Mutant(
        "the command line resumes an order with the key of another user",
        f"{SOURCE}/cli/generate.py",
        " if each.account in (None, service.account)]",
        "]",
        FAULTS,
    ),
    Mutant(
        "a refusal after a lost answer says that nothing was ordered",
        f"{SOURCE}/exchange.py",
        "            error.charged = None\n",
        "            pass\n",
        FAULTS,
    ),
    Mutant(
        "the Python client goes on with the token of another user",
        f"{SOURCE}/bearer.py",
        "        if user != self._user:\n",
        "        if False:\n",
        TOKENS,
    ),
    Mutant(
        "the command line forgets an order whose answer was lost",
        f"{SOURCE}/cli/following.py",
        "                if exits.is_final(error, sent_before=sent_before):\n",
        "                if True:\n",
        COMMANDS,
    ),
    Mutant(
        "the command line forgets an order whose image could not be saved",
        f"{SOURCE}/cli/following.py",
        "        hint(exits.waiting_again([task.task_id]) + elsewhere)\n        return\n",
        "        hint(exits.waiting_again([task.task_id]) + elsewhere)\n        paths = []\n",
        COMMANDS,
    ),
    Mutant(
        "an order that was sent before is forgotten with a wrong key",
        f"{SOURCE}/cli/following.py",
        "sent_before=sent_before):\n",
        "sent_before=False):\n",
        COMMANDS,
    ),
    Mutant(
        "an interrupted order is resumed under another key",
        f"{SOURCE}/cli/following.py",
        "idempotency_key=order.key,",
        "",
        COMMANDS,
    ),
    Mutant(
        "orders of another service are sent to this one",
        f"{SOURCE}/cli/journal.py",
        "if entry and (entry.base_url, entry.owner) == (base_url, owner):",
        "if entry:",
        COMMANDS,
    ),
)
