"""All deliberate defects. Each subject has a module of its own; a new rule needs a mutant there."""

from __future__ import annotations

from tests.mutation.access_mutants import ACCESS
from tests.mutation.answer_mutants import ANSWERS
from tests.mutation.budget_mutants import BUDGET_ROUTES
from tests.mutation.caller_mutants import CALLERS
from tests.mutation.catalog_mutants import CATALOG
from tests.mutation.deletion_mutants import DELETION
from tests.mutation.js_client_mutants import JS_CLIENT
from tests.mutation.model_mutants import MODELS
from tests.mutation.mutant import Mutant
from tests.mutation.notification_mutants import NOTIFICATION
from tests.mutation.operator_mutants import OPERATOR
from tests.mutation.order_mutants import ORDERS
from tests.mutation.pacing_mutants import PACING
from tests.mutation.python_client_mutants import PYTHON_CLIENT
from tests.mutation.reconcile_mutants import RECONCILE
from tests.mutation.spending_mutants import SPENDING
from tests.mutation.submission_mutants import SUBMISSION
from tests.mutation.token_mutants import TOKENS
from tests.mutation.updater_mutants import UPDATER
from tests.mutation.waiting_mutants import WAITING

MUTANTS: tuple[Mutant, ...] = (
    *SUBMISSION,
    *ANSWERS,
    *PACING,
    *RECONCILE,
    *UPDATER,
    *ACCESS,
    *DELETION,
    *NOTIFICATION,
    *CALLERS,
    *BUDGET_ROUTES,
    *WAITING,
    *SPENDING,
    *TOKENS,
    *OPERATOR,
    *ORDERS,
    *MODELS,
    *CATALOG,
    *JS_CLIENT,
    *PYTHON_CLIENT,
)
