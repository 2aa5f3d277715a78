"""Defects of the JavaScript client that order twice, lose a task, or burden the service."""

from __future__ import annotations

from tests.mutation.mutant import Mutant

NODE = "clients/test_js_client.py"
SOURCE = "clients/js/src"

JS_CLIENT = (
    Mutant(
        "the JavaScript client repeats an order under a new key",
        f"{SOURCE}/client.js",
        'const headers = { "Idempotency-Key": idempotencyKey };',
        'const headers = { get "Idempotency-Key"() { return newKey(); } };',
        NODE,
    ),
    Mutant(
        "the outbox stores an order after its response",
        f"{SOURCE}/outbox.js",
        """      storage.setItem(prefix + order.idempotencyKey, JSON.stringify(order));
      return deliver(order, options);""",
        """      const task = await deliver(order, options);
      storage.setItem(prefix + order.idempotencyKey, JSON.stringify(order));
      return task;""",
        NODE,
    ),
    Mutant(
        "the outbox forgets an order whose response was lost",
        f"{SOURCE}/outbox.js",
        "if (isFinal(error)) discard(idempotencyKey);",
        "discard(idempotencyKey);",
        NODE,
    ),
    Mutant(
        "the outbox sends again what another tab has discarded",
        f"{SOURCE}/transport.js",
        "      check?.();\n",
        "",
        NODE,
    ),
    Mutant(
        "the outbox calls an order refused that another tab has settled",
        f"{SOURCE}/outbox.js",
        "      check(); //",
        "      //",
        NODE,
    ),
    Mutant(
        "a client goes on with the token of another user",
        f"{SOURCE}/auth.js",
        "if (next.sub !== user) throw",
        "if (false) throw",
        NODE,
    ),
    Mutant(
        "the outbox sends the orders of another user",
        f"{SOURCE}/outbox.js",
        "const prefix = `imagetasks:${name}:`;",
        "const prefix = `imagetasks:`;",
        NODE,
    ),
    Mutant(
        "the JavaScript client polls sooner than Retry-After",
        f"{SOURCE}/deadline.js",
        "ms * (1 + Math.random() / 4)",
        "ms * (0.75 + Math.random() / 2)",
        NODE,
    ),
    Mutant(
        "a client's timeout does not name the task",
        f"{SOURCE}/client.js",
        "return tasks.follow(ids.taskId, { ...options, deadline }, response);",
        "delete ids.taskId; return tasks.follow(response.body.task_id, { ...options, deadline }, response);",
        NODE,
    ),
    Mutant(
        "each request renews a refused token",
        f"{SOURCE}/auth.js",
        "if (current && current.token !== refused) return current.token;",
        "if (false) return current.token;",
        NODE,
    ),
    Mutant(
        "the token route issues tokens to nobody",
        f"{SOURCE}/server.js",
        "if (!user) return problem(401",
        "if (user === undefined) return problem(401",
        NODE,
    ),
)
