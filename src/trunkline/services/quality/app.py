"""The data quality service, put together."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, delete

from trunkline.services.app import App, Context, Runnable
from trunkline.services.quality.clock import Clock, ClockThread
from trunkline.services.quality.handler import QualityHandler
from trunkline.services.quality.metrics import Metrics
from trunkline.services.quality.options import OptionsBook
from trunkline.services.quality.tables import ALL, QUALITY

if TYPE_CHECKING:
    from fastapi import APIRouter


class QualityEraser:
    """An `Eraser`: nothing of a tenant has to be kept, and so nothing is."""

    def erase(self, tx: Connection, tenant: str) -> Mapping[str, int]:
        """Delete all rows of the tenant."""
        return {
            table.name: tx.execute(delete(table).where(table.c.tenant == tenant)).rowcount for table in ALL
        }


def build(context: Context) -> App:
    """The service on its store."""
    assert context.outbox is not None, "the contract has data quality publish"
    outbox = context.outbox
    metrics = Metrics(context.registry)
    options = OptionsBook(context.settings)
    metrics.refused_settings.set_function(lambda: len(options.refused))
    clock = Clock(context.store, options=options, outbox=outbox, metrics=metrics, wall=context.wall)

    def router() -> "APIRouter":
        from trunkline.services.quality.api import routes

        return routes(context, outbox, options)

    return App(
        handler=QualityHandler(options=options, outbox=outbox, metrics=metrics, wall=context.wall),
        companions=(ClockThread(clock, wake=context.wake, on_failure=context.on_failure),),
        router=router,
        eraser=QualityEraser(),
        on_settings=options.reload,
    )


SERVICE: Final = Runnable(components=(QUALITY,), build=build)
