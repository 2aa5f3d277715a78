"""What the API's routes use; the handler builds it once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imagetasks.api.offered_models import OfferedModels
    from imagetasks.api.page_files import PageFiles
    from imagetasks.aws.image_bucket import ImageBucket
    from imagetasks.aws.secrets import ApiKeys, TokenKeys
    from imagetasks.aws.table import Table
    from imagetasks.aws.token_repository import TokenRepository
    from imagetasks.aws.upload_bucket import UploadBucket
    from imagetasks.aws.usage_repository import UsageRepository
    from imagetasks.clock import Clock
    from imagetasks.workflows.owner_tasks import OwnerTasks
    from imagetasks.workflows.place_order import OrderPlacement
    from imagetasks.workflows.spending import Spending


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class ApiDependencies:
    """Clients and workflows of the routes."""

    api_keys: ApiKeys
    token_keys: TokenKeys
    table: Table
    models: OfferedModels
    placement: OrderPlacement
    tasks: OwnerTasks
    images: ImageBucket
    uploads: UploadBucket
    spending: Spending
    page: PageFiles
    balance: Callable[[], Decimal]
    clock: Clock

    # Both are imported by the first request that needs them: most cold starts see none.
    @property
    def tokens(self) -> TokenRepository:
        """The browser tokens."""
        from imagetasks.aws.token_repository import TokenRepository  # noqa: PLC0415

        return TokenRepository(self.table)

    @property
    def usage(self) -> UsageRepository:
        """What owners have ordered and were charged."""
        from imagetasks.aws.usage_repository import UsageRepository  # noqa: PLC0415

        return UsageRepository(self.table)
