"""Defects in what orders of any model reserve, send and keep."""

from __future__ import annotations

from tests.mutation.mutant import Mutant

MODELS = "integration/handlers/test_api_models.py"
OTHERS = "integration/workflows/test_tasks_of_other_models.py"
ORDER_REQUEST = "unit/api/test_order_request.py"

ORDERS = (
    Mutant(
        "a limit is compared with nothing",
        "api/order_input.py",
        "if price.credits <= Decimal(str(max_credits)):",
        "if True:",
        ORDER_REQUEST,
    ),
    Mutant(
        "an order that is already invalid is priced",
        "api/order_request.py",
        "if model and request and not problems:",
        "if model and request:",
        ORDER_REQUEST,
    ),
    Mutant(
        "the rules of the model are not asked",
        "api/order_input.py",
        "    found = model.errors(image_input, elsewhere)\n",
        "    found = model.errors({'prompt': 'x'}, elsewhere)\n",
        ORDER_REQUEST,
    ),
    Mutant(
        "defaults that the caller left out are sent",
        "api/order_request.py",
        "sent = model.present(request.input)",
        "sent = model.effective(request.input)",
        ORDER_REQUEST,
    ),
    Mutant(
        "an order of every bundled model is accepted",
        "api/offered_models.py",
        "model_catalog.allowed(self.patterns)",
        "model_catalog.models()",
        MODELS,
    ),
    Mutant(
        "a bound is called exact",
        "api/order_request.py",
        "credits_exact=price.exact,",
        "credits_exact=True,",
        MODELS,
    ),
    Mutant(
        "a mask is not checked",
        "workflows/place_order.py",
        "addresses=order.addresses,",
        "addresses={k: v for k, v in order.addresses.items() if 'mask' not in k},",
        MODELS,
    ),
    Mutant(
        "only reference images are resolved",
        "workflows/submit.py",
        "for each in task.address_pointers}",
        "for each in task.address_pointers if 'image_urls' in each}",
        OTHERS,
    ),
    Mutant(
        "a charge below a bound raises an alarm",
        "tasks/bookings.py",
        "within = not task.credits_exact and named < task.estimated_credits",
        "within = False",
        OTHERS,
    ),
    Mutant(
        "no charge of an inexact estimate raises an alarm",
        "tasks/bookings.py",
        "within = not task.credits_exact and named < task.estimated_credits",
        "within = not task.credits_exact",
        OTHERS,
    ),
    Mutant(
        "a price that is exact hides a charge below it",
        "tasks/bookings.py",
        "within = not task.credits_exact and named < task.estimated_credits",
        "within = named < task.estimated_credits",
        OTHERS,
    ),
    Mutant(
        "defaults of today are shown for a task",
        "tasks/task.py",
        "return {**self.input, **left_out}",
        "return {**self.input}",
        MODELS,
    ),
    Mutant(
        "what DynamoDB left out of a batch counts as missing",
        "aws/table.py",
        'if not (wanted := response.get("UnprocessedKeys")):',
        "if True:",
        "unit/aws/test_batch_get.py",
    ),
)
