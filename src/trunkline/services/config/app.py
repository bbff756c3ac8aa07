"""The config service, put together."""

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from trunkline.client.broadcast.publishing import snapshot_seconds
from trunkline.client.broadcast.reading import read_overview, read_state
from trunkline.errors import InvalidInput
from trunkline.services.app import App, Context, Runnable
from trunkline.services.config import queries
from trunkline.services.config.desk import ConfigDesk, desk_of
from trunkline.services.config.erasing import ConfigEraser
from trunkline.services.config.handler import ConfigHandler
from trunkline.services.config.learning import Learning
from trunkline.services.config.metrics import ConfigMetrics
from trunkline.services.config.redis_bridge import RedisBridge
from trunkline.services.config.schedule import Schedule
from trunkline.services.config.snapshots import Snapshots
from trunkline.services.config.tables import CONFIG
from trunkline.services.config.worker import Worker

if TYPE_CHECKING:
    from fastapi import APIRouter

COUNT_SECONDS: Final = 5.0


def build(context: Context) -> App:
    """The service on its store. Raises `InvalidInput`."""
    if context.outbox is None:
        raise InvalidInput(f"{context.service} publishes nothing in this catalogue")
    metrics = ConfigMetrics(context.registry)
    store, wall = context.store, context.wall
    learning: Learning
    desk = desk_of(context, ready=lambda: learning.done)
    snapshots = Snapshots(
        store,
        context.outbox,
        every=timedelta(seconds=snapshot_seconds(context.environment)),
        wall=wall,
        wake=context.wake,
        ready=lambda: learning.done,
    )
    repeating = Worker("config-snapshots", snapshots)

    def republish() -> None:
        snapshots.want()
        repeating.wake()

    learning = Learning(store, partial(read_state, context.connection), wall=wall, lacking=republish)
    learner = Worker("config-learning", learning)
    schedule = Schedule(desk, wall=wall, ready=lambda: learning.done, settled=metrics.settled)
    bridge = RedisBridge(store, context.settings, metrics, owner=context.instance, wall=wall)
    bridging = Worker("config-redis", bridge)
    workers = (
        learner,
        Worker("config-schedule", schedule),
        repeating,
        bridging,
        Worker("config-counts", partial(_count, desk, metrics)),
    )

    def not_ready() -> Sequence[str]:
        if learning.done:
            return ()
        return (f"the config topic was not read yet: {learner.trouble or 'it is being read'}",)

    return App(
        handler=ConfigHandler(),
        companions=workers,
        router=partial(_router, context, desk),
        eraser=ConfigEraser(context.outbox, wall=wall),
        on_settings=bridging.wake,
        not_ready=not_ready,
    )


def _count(desk: ConfigDesk, metrics: ConfigMetrics) -> float:
    with desk.store.read() as tx:
        entries, waiting = queries.counts(tx)
    metrics.entries.set(entries)
    metrics.waiting.set(waiting)
    return COUNT_SECONDS


def _router(context: Context, desk: ConfigDesk) -> "APIRouter":
    from trunkline.services.config.api import routes
    from trunkline.services.config.stream import ChangeStreams

    return routes(
        desk,
        ChangeStreams(context.store, desk.rules.registry),
        lambda: read_overview(context.connection, now=context.wall()),
    )


SERVICE: Final = Runnable(components=(CONFIG,), build=build)
