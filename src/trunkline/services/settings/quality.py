"""How data quality is watched: windows, sensitivity, what is left alone, and what is promised."""

from typing import Annotated, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from trunkline.catalogue.assets import asset_urn
from trunkline.catalogue.events.fields import Urn
from trunkline.catalogue.events.quality import Severity
from trunkline.services.settings.registry import LEVELS, Definition

DAY_MINUTES: Final = 1_440
WEEK_MINUTES: Final = 7 * DAY_MINUTES

Metric: TypeAlias = Literal["rows_written", "failure_rate", "latency", "schema", "freshness"]
"""What is watched of every asset."""


class Monitor(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An exception for assets whose URN is `asset`, in which a `*` stands for anything.

    It is about these `metrics`, or all of them when none are named: they are not watched at all, or with
    another threshold.
    """

    asset: Urn
    metrics: tuple[Metric, ...] = ()
    enabled: bool = True
    threshold: Annotated[float, Meta(ge=2.0, le=50.0)] | None = None


class Promise(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An asset is written to at least every so many minutes; else `quality.sla_breached.v1`."""

    asset: Urn
    max_age_minutes: Annotated[int, Meta(ge=1, le=366 * DAY_MINUTES)]
    severity: Severity = "error"


def _check_window(minutes: int, _key: str) -> None:
    if minutes != WEEK_MINUTES and DAY_MINUTES % minutes:
        raise ValueError(
            f"a window is a part of a day that divides it, a day ({DAY_MINUTES}) or a week ({WEEK_MINUTES})"
        )


def _check_monitor(monitor: Monitor, _key: str) -> None:
    if monitor.enabled and monitor.threshold is None:
        raise ValueError("it changes nothing: set `enabled` to false or give a `threshold`")


def _check_promise(promise: Promise, _key: str) -> None:
    if promise.asset != asset_urn(promise.asset):
        raise ValueError(f"`asset` is one URN, for instance {asset_urn(promise.asset)}")


WINDOW: Final[Definition[int]] = Definition(
    "quality.window_minutes",
    Annotated[int, Meta(ge=5, le=WEEK_MINUTES)],
    levels=LEVELS,
    self_service=True,
    title="How much time one value of a metric covers, in minutes; a day unless set",
    check=_check_window,
)
THRESHOLD: Final[Definition[float]] = Definition(
    "quality.threshold",
    Annotated[float, Meta(ge=2.0, le=50.0)],
    levels=LEVELS,
    self_service=True,
    title="From how many robust standard deviations a value is an anomaly; 3.5 unless set",
)
CONFIRMATIONS: Final[Definition[int]] = Definition(
    "quality.confirmations",
    Annotated[int, Meta(ge=0, le=1_000_000)],
    levels=LEVELS,
    self_service=True,
    title="How many queries make a proposed check active; 0, which holds unless set, means never",
)
MONITOR: Final[Definition[Monitor]] = Definition(
    "quality.monitors.*",
    Monitor,
    levels=LEVELS,
    self_service=True,
    title="An exception to monitoring",
    check=_check_monitor,
)
PROMISE: Final[Definition[Promise]] = Definition(
    "quality.promises.*",
    Promise,
    levels=LEVELS,
    self_service=True,
    title="A promise of freshness",
    check=_check_promise,
)
DEFINITIONS: Final = (WINDOW, THRESHOLD, CONFIRMATIONS, MONITOR, PROMISE)
