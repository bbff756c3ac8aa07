"""The notification service, put together."""

from typing import Final

from trunkline.services.app import App, Context, Runnable
from trunkline.services.notification.configuration import Configuration
from trunkline.services.notification.erasing import NotificationEraser
from trunkline.services.notification.facts import to_us
from trunkline.services.notification.handler import NotificationHandler
from trunkline.services.notification.metrics import Metrics
from trunkline.services.notification.tables import NOTIFICATIONS


def build(context: Context) -> App:
    """The service on its store."""
    metrics = Metrics(context.registry)
    configuration = Configuration(context.settings)

    def refresh() -> None:
        configuration.refresh()
        metrics.refused_settings(len(configuration.refused))

    return App(
        handler=NotificationHandler(configuration, metrics=metrics, now_us=lambda: to_us(context.wall())),
        eraser=NotificationEraser(),
        on_settings=refresh,
    )


SERVICE: Final = Runnable(components=(NOTIFICATIONS,), build=build)
