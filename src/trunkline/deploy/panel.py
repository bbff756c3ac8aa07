"""Grafana dashboards as values: queries in panels in rows, and the JSON model that Grafana reads of them.

The model is Grafana's own, schema version 39 (Grafana 10.4 and later). The data source is a variable, so that
a dashboard fits any Grafana.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Any, Final

SCHEMA_VERSION: Final = 39
WIDTH: Final = 24
"""Of a dashboard, in Grafana's columns."""

ROW_HEIGHT: Final = 1
UID_CHARACTERS_MAX: Final = 40
"""Of a dashboard's uid: Grafana refuses a longer one."""

DIGEST_CHARACTERS: Final = 10

SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}


class Unit(StrEnum):
    """Grafana's names of the units that are shown here."""

    BYTES = "bytes"
    BYTES_A_SECOND = "Bps"
    COUNT = "short"
    COUNT_A_SECOND = "cps"
    MILLISECONDS = "ms"
    SECONDS = "s"
    SHARE = "percentunit"


@dataclass(frozen=True, slots=True)
class Query:
    """PromQL, and what its series are called: Grafana's template of labels."""

    expr: str
    legend: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """Lines over time, or with `latest` only the last value of each series. `limit` is where red begins."""

    title: str
    queries: Sequence[Query]
    unit: Unit
    text: str = ""
    latest: bool = False
    limit: float | None = None
    width: int = 8
    height: int = 8


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under a title."""

    title: str
    panels: Sequence[Panel]


def dashboard_uid(*parts: str) -> str:
    """What links to a dashboard, of these parts: at most `UID_CHARACTERS_MAX` characters. What is longer is
    cut and ends with a digest of the whole, so that no two become one."""
    whole = "-".join(parts)
    if len(whole) <= UID_CHARACTERS_MAX:
        return whole
    digest = sha256(whole.encode()).hexdigest()[:DIGEST_CHARACTERS]
    return f"{whole[: UID_CHARACTERS_MAX - DIGEST_CHARACTERS - 1]}-{digest}"


@dataclass(frozen=True, slots=True)
class Choice:
    """A variable: some or all of these values, which queries use as `=~"$NAME"`."""

    name: str
    values: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """`uid` is what `dashboard_uid` makes."""

    uid: str
    title: str
    rows: Sequence[Row]
    choices: Sequence[Choice] = ()

    def model(self) -> dict[str, Any]:
        """The JSON model."""
        return {
            "uid": self.uid,
            "title": self.title,
            "tags": ["trunkline"],
            "schemaVersion": SCHEMA_VERSION,
            "editable": False,
            "graphTooltip": 1,
            "refresh": "30s",
            "time": {"from": "now-6h", "to": "now"},
            "timezone": "",
            "templating": {"list": [_source_variable(), *map(_variable, self.choices)]},
            "panels": list(_placed(self.rows)),
        }


def _placed(rows: Iterable[Row]) -> Iterable[Mapping[str, Any]]:
    """Panels from left to right and top to bottom, each with its number and place."""
    number, top = 0, 0
    for row in rows:
        number += 1
        place = {"x": 0, "y": top, "w": WIDTH, "h": ROW_HEIGHT}
        yield {
            "id": number,
            "type": "row",
            "title": row.title,
            "collapsed": False,
            "gridPos": place,
            "panels": [],
        }
        top += ROW_HEIGHT
        left, height = 0, 0
        for panel in row.panels:
            if left + panel.width > WIDTH:
                left, top, height = 0, top + height, 0
            number += 1
            yield {
                "id": number,
                **_panel(panel),
                "gridPos": {"x": left, "y": top, "w": panel.width, "h": panel.height},
            }
            left, height = left + panel.width, max(height, panel.height)
        top += height


def _panel(panel: Panel) -> dict[str, Any]:
    return {
        "type": "stat" if panel.latest else "timeseries",
        "title": panel.title,
        "description": panel.text,
        "datasource": SOURCE,
        "targets": [
            {
                "refId": chr(ord("A") + place),
                "datasource": SOURCE,
                "expr": query.expr,
                "legendFormat": query.legend,
                "instant": panel.latest,
                "range": not panel.latest,
            }
            for place, query in enumerate(panel.queries)
        ],
        "fieldConfig": {"defaults": {"unit": str(panel.unit), **_limit(panel)}, "overrides": []},
        "options": _latest_options() if panel.latest else _line_options(),
    }


def _limit(panel: Panel) -> dict[str, Any]:
    if panel.limit is None:
        return {"color": {"mode": "palette-classic"}}
    steps = [{"color": "green", "value": None}, {"color": "red", "value": panel.limit}]
    found: dict[str, Any] = {"thresholds": {"mode": "absolute", "steps": steps}}
    if panel.latest:
        return {**found, "color": {"mode": "thresholds"}}
    return {
        **found,
        "color": {"mode": "palette-classic"},
        "custom": {"thresholdsStyle": {"mode": "line"}},
    }


def _latest_options() -> dict[str, Any]:
    reduced = {"calcs": ["lastNotNull"], "fields": "", "values": False}
    return {"reduceOptions": reduced, "colorMode": "value", "graphMode": "none", "textMode": "auto"}


def _line_options() -> dict[str, Any]:
    return {
        "legend": {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"]},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }


def _source_variable() -> dict[str, Any]:
    return {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}


def _variable(choice: Choice) -> dict[str, Any]:
    return {
        "name": choice.name,
        "type": "custom",
        "query": ",".join(choice.values),
        "multi": True,
        "includeAll": True,
        "allValue": ".+",
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
    }
