"""The notification service, put together."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from trunkline.services.app import App, Context, Runnable
from trunkline.services.notification.configuration import Configuration
from trunkline.services.notification.erasing import NotificationEraser
from trunkline.services.notification.facts import to_us
from trunkline.services.notification.handler import NotificationHandler
from trunkline.services.notification.metrics import Metrics
from trunkline.services.notification.sender import Sender, SenderOptions
from trunkline.services.notification.tables import NOTIFICATIONS
from trunkline.services.notification.timekeeping import Timekeeper
from trunkline.services.notification.unsubscribing import Unsubscribing
from trunkline.services.notification.vault import Vault
from trunkline.services.notification.ways import Ways

if TYPE_CHECKING:
    from fastapi import APIRouter


def build(context: Context) -> App:
    """The service on its store."""
    return build_with(context, SenderOptions())


def build_with(context: Context, options: SenderOptions) -> App:
    """The same, with other bounds and waits than those for production."""
    metrics = Metrics(context.registry)
    configuration = Configuration(context.settings)
    vault = Vault(context.store, context.keys)
    unsubscribing = Unsubscribing.on(context.store, context.keys)
    ways = ways_of(context, configuration, vault, unsubscribing)

    def now_us() -> int:
        return to_us(context.wall())

    def refresh() -> None:
        configuration.refresh()
        metrics.refused_settings(len(configuration.refused))

    def router() -> "APIRouter":
        from trunkline.services.notification.api import routes

        return routes(context, configuration, vault, unsubscribing, ways)

    return App(
        handler=NotificationHandler(configuration, metrics=metrics, now_us=now_us),
        companions=(
            Sender(
                context.store,
                configuration,
                ways,
                metrics,
                holder=context.instance,
                options=options,
                on_failure=context.on_failure,
                now_us=now_us,
            ),
            Timekeeper(context.store, configuration, on_failure=context.on_failure, now_us=now_us),
        ),
        router=router,
        eraser=NotificationEraser(context.data_dir),
        on_settings=refresh,
    )


def ways_of(
    context: Context, configuration: Configuration, vault: Vault, unsubscribing: Unsubscribing
) -> Ways:
    """The channels of the service."""
    return Ways(configuration, vault, unsubscribing, data_dir=Path(context.data_dir))


SERVICE: Final = Runnable(components=(NOTIFICATIONS,), build=build)
