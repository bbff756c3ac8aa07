"""The billing service, put together."""

from typing import TYPE_CHECKING, Final

from trunkline.services.app import App, Context, Runnable
from trunkline.services.billing.erasing import BillingEraser
from trunkline.services.billing.handler import BillingHandler
from trunkline.services.billing.keeping import Keeper
from trunkline.services.billing.subjects import Subjects
from trunkline.services.billing.tables import BILLING

if TYPE_CHECKING:
    from fastapi import APIRouter


def build(context: Context) -> App:
    """The service on its store. Raises `StoreUnavailable`."""
    assert context.outbox is not None, "the contract lets billing publish"
    subjects = Subjects(context.keys)
    keeper = Keeper(context)
    handler = BillingHandler(context.outbox, subjects, terms=lambda: keeper.terms, wall=context.wall)

    def router() -> "APIRouter":
        from trunkline.services.billing.api import routes

        return routes(context, keeper)

    return App(
        handler=handler,
        companions=(keeper,),
        router=router,
        eraser=BillingEraser(subjects),
        on_settings=keeper.settings_changed,
    )


SERVICE: Final = Runnable(components=(BILLING,), build=build)
