"""The catalog service, put together."""

from typing import TYPE_CHECKING, Final

from trunkline.services.app import App, Context, Runnable
from trunkline.services.catalog.eraser import CatalogEraser
from trunkline.services.catalog.handler import CatalogHandler
from trunkline.services.catalog.metrics import CatalogCollector
from trunkline.services.catalog.tables import CATALOG

if TYPE_CHECKING:
    from fastapi import APIRouter


def build(context: Context) -> App:
    """The service on its store."""
    context.registry.register(CatalogCollector(context.store))

    def router() -> "APIRouter":
        from trunkline.services.catalog.api import routes

        return routes()

    return App(handler=CatalogHandler(), router=router, eraser=CatalogEraser())


SERVICE: Final = Runnable(components=(CATALOG,), build=build)
