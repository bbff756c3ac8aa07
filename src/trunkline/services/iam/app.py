"""The IAM service, put together."""

from typing import TYPE_CHECKING, Final

from trunkline.services.app import App, Context, Runnable
from trunkline.services.iam.desk import Desk
from trunkline.services.iam.erasing import IamEraser
from trunkline.services.iam.metrics import IamGauges
from trunkline.services.iam.receipts import Collector
from trunkline.services.iam.tables import IAM

if TYPE_CHECKING:
    from fastapi import APIRouter


def build(context: Context) -> App:
    """The service on its store."""
    desk, collector = Desk.of(context), Collector(context)
    context.registry.register(IamGauges(context.store, context.wall))

    def router() -> "APIRouter":
        from trunkline.services.iam.api import routes

        return routes(context, desk)

    return App(
        companions=(collector,),
        router=router,
        eraser=IamEraser(),
        not_ready=lambda: [collector.trouble] if collector.trouble else [],
    )


SERVICE: Final = Runnable(components=(IAM,), build=build)
