"""The ML service, put together. It consumes nothing: what happens in it begins with a person or a program."""

from typing import TYPE_CHECKING, Final

from trunkline.services.app import App, Context, Runnable
from trunkline.services.ml.eraser import RegistryEraser
from trunkline.services.ml.metrics import RegistryCollector
from trunkline.services.ml.tables import REGISTRY

if TYPE_CHECKING:
    from fastapi import APIRouter


def build(context: Context) -> App:
    """The service on its store."""
    context.registry.register(RegistryCollector(context.store))

    def router() -> "APIRouter":
        from trunkline.services.ml.api import routes

        return routes(context)

    return App(router=router, eraser=RegistryEraser())


SERVICE: Final = Runnable(components=(REGISTRY,), build=build)
