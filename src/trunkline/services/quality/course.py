"""What becomes of one tenant's assets as its facts come in. Sans-IO.

Theory of operation. Time is the events' time. The *watermark* of a tenant is ten minutes behind the newest
event it has had, and only moves forward. A window closes when the watermark passes its end; it is judged
then, once, against the closed windows before it. What comes for a window that is closed is *late*: it is
counted, and may show that an anomaly was none, but never raises one. An asset is *overdue* when the watermark
passes the time by which its next load was expected.

Facts are taken one by one, and nothing depends on how they are divided into batches. A tenant's events have
one order (one partition of one topic), the watermark is the tenant's own, and sums do not depend on order at
all; so every instance that gets the same events comes to the same state and the same events, whatever other
tenants, partitions and topics do meanwhile.

    none --unusual window closes--> open --usual window closes--> resolved
                                    open --late facts make its only window usual--> resolved
    none --overdue--> open --a load--> resolved                       (freshness)
"""

from bisect import bisect_left, insort
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, TypeAlias, get_args

from trunkline.services.quality.emission import Anomaly, Emission, breached, detected, new_anomaly, resolved
from trunkline.services.quality.facts import Fact
from trunkline.services.quality.options import Options
from trunkline.services.quality.rhythm import LOADS_MAX, SLOT_US, rhythm
from trunkline.services.quality.statistics import WINDOWS_MIN, Verdict, judge
from trunkline.services.quality.windows import (
    DAY_US,
    LATENESS_US,
    MINUTE_US,
    Series,
    Window,
    before,
    start_of,
)
from trunkline.services.settings.quality import Metric

LATE_MAX_US: Final = 35 * DAY_US
"""What is still older, behind the newest event of its tenant, does not count."""

NEVER_US: Final = 1 << 62
"""Later than anything, and with the other sign earlier."""

SURE: Final = 1_000.0
"""Deviations of what is no matter of degree."""

LATE: Final = "late events"
Place: TypeAlias = tuple[str, int, int]
"""Asset, start and width of a window."""

SERIES: Final[tuple[Series, ...]] = get_args(Series)


@dataclass(slots=True, kw_only=True)
class Asset:
    """What is known of an asset as a whole. `due_us` is when its next load is overdue."""

    asset: str
    first_us: int
    last_read_us: int | None = None
    last_write_us: int | None = None
    reads: int = 0
    writes: int = 0
    failures: int = 0
    period_us: int | None = None
    tolerance_us: int | None = None
    due_us: int | None = None


@dataclass(slots=True, kw_only=True)
class Known:
    """What a course begins with: all that its facts can touch.

    These are every open window and every open anomaly of the tenant; the assets and windows that the facts
    touch; the history of assets of which a window can close; and every asset that can become overdue.
    `breaches` has the newest breach of each promise.
    """

    newest_us: int = -NEVER_US
    assets: dict[str, Asset] = field(default_factory=dict)
    windows: dict[Place, Window] = field(default_factory=dict)
    history: dict[str, list[Window]] = field(default_factory=dict)
    loads: dict[str, list[int]] = field(default_factory=dict)
    anomalies: dict[tuple[str, Metric], Anomaly] = field(default_factory=dict)
    breaches: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Changes:
    """What a course leaves to write and to publish.

    `closed` windows were judged, the last of them when the newest event was of `closed_at_us`. `too_old`
    facts did not count.
    """

    assets: set[str] = field(default_factory=set)
    windows: dict[Place, Window] = field(default_factory=dict)
    loads: set[tuple[str, int]] = field(default_factory=set)
    anomalies: dict[str, Anomaly] = field(default_factory=dict)
    breaches: list[tuple[str, str, int]] = field(default_factory=list)
    emissions: list[Emission] = field(default_factory=list)
    closed: int = 0
    closed_at_us: int | None = None
    late: int = 0
    too_old: int = 0


class Course:
    """One tenant's facts, applied in their order to what is known. The caller writes `changes`."""

    def __init__(self, tenant: str, options: Options, known: Known) -> None:
        self._tenant = tenant
        self._options = options
        self.known = known
        self.changes = Changes()
        self._open = {at: window for at, window in known.windows.items() if not window.closed}
        self._next_end = min((window.end_us for window in self._open.values()), default=NEVER_US)

    @property
    def watermark_us(self) -> int:
        return self.known.newest_us - LATENESS_US

    def apply(self, fact: Fact) -> None:
        """Take one fact."""
        if fact.at_us < self.known.newest_us - LATE_MAX_US:
            self.changes.too_old += 1
            return
        if fact.at_us > self.known.newest_us:
            self.known.newest_us = fact.at_us
            self._close_windows(fact)
            self.look_at_dues(self.watermark_us, confirmed=True)
        for asset in fact.assets:
            self._count(asset, fact)
            self._place(asset, fact)
            if asset in fact.writes:
                self._load(asset, fact)

    def look_at_dues(self, moment_us: int, *, confirmed: bool) -> None:
        """Raise what is overdue at a moment: the watermark, or what the clock says where nothing comes."""
        for asset in self._overdue(moment_us):
            self._raise_overdue(asset, confirmed=confirmed)
        for name, promise in self._options.promises.items():
            found = self.known.assets.get(promise.asset)
            if found is None or found.last_write_us is None:
                continue
            due_us = found.last_write_us + promise.max_age_minutes * MINUTE_US
            if due_us <= moment_us and due_us > self.known.breaches.get(name, -NEVER_US):
                self.known.breaches[name] = due_us
                self.changes.breaches.append((name, promise.asset, due_us))
                self.changes.emissions.append(
                    breached(self._tenant, name, promise.asset, due_us=due_us, severity=promise.severity)
                )

    def _close_windows(self, fact: Fact) -> None:
        watermark_us = self.watermark_us
        if watermark_us < self._next_end:
            return
        due = [window for window in self._open.values() if window.end_us <= watermark_us]
        for window in sorted(due, key=lambda one: (one.start_us, one.asset)):
            del self._open[window.place]
            self._judge(window, fact)
            self._keep(window)
            self.changes.closed += 1
            self.changes.closed_at_us = self.known.newest_us
        self._next_end = min((window.end_us for window in self._open.values()), default=NEVER_US)

    def _keep(self, window: Window) -> None:
        """A window closes: later ones are compared with it."""
        window.closed = True
        self.changes.windows[window.place] = window
        insort(self.known.history.setdefault(window.asset, []), window, key=lambda one: one.start_us)

    def _judge(self, window: Window, fact: Fact) -> None:
        for metric, verdict in self._verdicts(window):
            found = self.known.anomalies.get((window.asset, metric))
            if verdict.unusual and found is None:
                self._raise(window, metric, verdict, fact)
            elif verdict.unusual and found is not None:
                found.windows += 1
                found.last_us = window.start_us
                self.changes.anomalies[found.id] = found
            elif found is not None:
                self._resolve(found, window.end_us + LATENESS_US, fact, note=None)

    def _judge_again(self, window: Window, fact: Fact) -> None:
        """Late facts can show that an anomaly was none; nothing else comes of them."""
        doubtful = {
            metric: anomaly
            for (asset, metric), anomaly in self.known.anomalies.items()
            if asset == window.asset and anomaly.began_us == anomaly.last_us == window.start_us
        }
        for metric, verdict in self._verdicts(window) if doubtful else ():
            if metric in doubtful and not verdict.unusual:
                self._resolve(doubtful[metric], doubtful[metric].raised_us, fact, note=LATE)

    def _verdicts(self, window: Window) -> Iterable[tuple[Metric, Verdict]]:
        history = before(self.known.history.get(window.asset, []), window)
        for metric in SERIES:
            threshold = self._options.threshold_of(window.asset, metric)
            verdict = None if threshold is None else judge(metric, window, history, threshold)
            if verdict is not None:
                yield metric, verdict
        drift = self._drift(window, history)
        if drift is not None:
            yield "schema", drift

    def _drift(self, window: Window, history: list[Window]) -> Verdict | None:
        """Whether the columns are others than before; the window after that compares with the new ones."""
        known = [one.columns_hash for one in history if one.columns_hash is not None]
        if window.columns_hash is None or len(known) < WINDOWS_MIN:
            return None
        if self._options.threshold_of(window.asset, "schema") is None:
            return None
        changed = window.columns_hash != known[-1]
        return Verdict(
            observed=float(changed), low=0.0, high=0.0, deviations=SURE if changed else 0.0, unusual=changed
        )

    def _raise(self, window: Window, metric: Metric, verdict: Verdict, fact: Fact) -> None:
        anomaly = new_anomaly(
            self._tenant,
            window.asset,
            metric,
            began_us=window.start_us,
            raised_us=window.end_us + LATENESS_US,
            verdict=verdict,
        )
        self.known.anomalies[window.asset, metric] = anomaly
        self.changes.anomalies[anomaly.id] = anomaly
        self.changes.emissions += detected(anomaly, fact.id)

    def _resolve(self, anomaly: Anomaly, at_us: int, fact: Fact, *, note: str | None) -> None:
        anomaly.resolved_us, anomaly.note = at_us, note
        del self.known.anomalies[anomaly.asset, anomaly.metric]
        self.changes.anomalies[anomaly.id] = anomaly
        self.changes.emissions += resolved(anomaly, fact.id)

    def _count(self, asset: str, fact: Fact) -> None:
        found = self.known.assets.get(asset)
        if found is None:
            found = self.known.assets[asset] = Asset(asset=asset, first_us=fact.at_us)
        found.first_us = min(found.first_us, fact.at_us)
        if asset in fact.failed:
            found.failures += 1
        if asset in fact.reads:
            found.reads += 1
            found.last_read_us = max(found.last_read_us or fact.at_us, fact.at_us)
        if asset in fact.writes:
            found.writes += 1
            found.last_write_us = max(found.last_write_us or fact.at_us, fact.at_us)
        self.changes.assets.add(asset)

    def _place(self, asset: str, fact: Fact) -> None:
        """Count a fact in its window, which may be closed already."""
        width_us = self._options.width_us
        place = (asset, start_of(fact.at_us, width_us), width_us)
        window = self.known.windows.get(place) or self._new_window(place)
        window.add(fact)
        self.changes.windows[place] = window
        if window.closed:
            window.late += 1
            self.changes.late += 1
            self._judge_again(window, fact)

    def _new_window(self, place: Place) -> Window:
        asset, start_us, width_us = place
        window = self.known.windows[place] = Window(asset=asset, start_us=start_us, width_us=width_us)
        if window.end_us <= self.watermark_us:
            self._keep(window)
        else:
            self._open[place] = window
            self._next_end = min(self._next_end, window.end_us)
        return window

    def _load(self, asset: str, fact: Fact) -> None:
        slot = fact.at_us // SLOT_US
        loads = self.known.loads.setdefault(asset, [])
        place = bisect_left(loads, slot)
        if place == len(loads) or loads[place] != slot:
            loads.insert(place, slot)
            self.changes.loads.add((asset, slot))
            del loads[:-LOADS_MAX]
            self._expect(asset, loads)
        overdue = self.known.anomalies.get((asset, "freshness"))
        if overdue is not None and slot * SLOT_US > overdue.began_us:
            late = fact.at_us <= overdue.raised_us
            self._resolve(overdue, max(fact.at_us, overdue.raised_us), fact, note=LATE if late else None)

    def _expect(self, asset: str, loads: list[int]) -> None:
        """When the next load is overdue, after the newest one that is known."""
        found = self.known.assets[asset]
        threshold = self._options.threshold_of(asset, "freshness")
        learnt = None if threshold is None else rhythm(loads, threshold)
        if learnt is None:
            found.period_us = found.tolerance_us = found.due_us = None
            return
        found.period_us, found.tolerance_us = learnt
        found.due_us = (loads[-1] + 1) * SLOT_US + learnt.period_us + learnt.tolerance_us

    def _overdue(self, moment_us: int) -> list[Asset]:
        found = [
            asset
            for asset in self.known.assets.values()
            if asset.due_us is not None and asset.due_us <= moment_us
        ]
        return sorted(found, key=lambda asset: (asset.due_us, asset.asset))

    def _raise_overdue(self, asset: Asset, *, confirmed: bool) -> None:
        known = self.known.anomalies.get((asset.asset, "freshness"))
        if known is not None:
            if confirmed and not known.confirmed:
                known.confirmed = True
                self.changes.anomalies[known.id] = known
            return
        assert asset.due_us is not None
        assert asset.period_us is not None
        assert asset.tolerance_us is not None
        began_us = asset.due_us - asset.period_us - asset.tolerance_us - SLOT_US
        allowed = (asset.period_us + asset.tolerance_us) / MINUTE_US
        verdict = Verdict(
            observed=round((asset.due_us - began_us + LATENESS_US) / MINUTE_US, 3),
            low=0.0,
            high=round(allowed, 3),
            deviations=self._options.threshold_of(asset.asset, "freshness") or SURE,
            unusual=True,
        )
        anomaly = new_anomaly(
            self._tenant,
            asset.asset,
            "freshness",
            began_us=began_us,
            raised_us=asset.due_us + LATENESS_US,
            verdict=verdict,
        )
        anomaly.confirmed = confirmed
        self.known.anomalies[asset.asset, "freshness"] = anomaly
        self.changes.anomalies[anomaly.id] = anomaly
        self.changes.emissions += detected(anomaly, None)
