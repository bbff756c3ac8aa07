"""Data quality facets as events of the quality topic: what GX, Soda and dbt report comes by this door.

An assertion in a `dataQualityAssertions` facet is a check of its dataset. Its result counts once a run: it is
taken from the event that ends the run, because producers repeat facets, dbt from the start on. What is in
`dataQualityMetrics` says how many rows were looked at.

Severity of a failed assertion: its own `severity` where it has one, `warn` being a warning, and `blocker` and
`fatal` critical; else it is an error.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from trunkline.catalogue.events.fields import COUNT_MAX
from trunkline.catalogue.events.quality import (
    Dimension,
    QualityCheckFailed,
    QualityCheckPassed,
    Severity,
)
from trunkline.codec.identity import derive_id
from trunkline.codec.openlineage.run_event import Dataset, RunEvent

ASSERTIONS_MAX: Final = 1_000
"""Of one run event."""

REASON_LENGTH_MAX: Final = 2_000

_SEVERITIES: Final[Mapping[str, Severity]] = {
    "info": "info",
    "warn": "warning",
    "warning": "warning",
    "error": "error",
    "critical": "critical",
    "blocker": "critical",
    "fatal": "critical",
}
_DIMENSIONS: Final[tuple[tuple[str, Dimension], ...]] = (
    (r"not_null|not_be_null|non_?null|missing|complete", "completeness"),
    (r"uniq|duplicate|distinct", "uniqueness"),
    (r"relationship|referenc|foreign|consisten|equal", "consistency"),
    (r"fresh|recen|timeliness|stale", "freshness"),
    (r"row_?count|volume|table_row", "volume"),
    (r"schema|column_(count|names|order)|columns_to_match|column_to_exist", "schema"),
)


class Assertion(msgspec.Struct, frozen=True, kw_only=True):
    """One assertion of the facet (spec DataQualityAssertionsDatasetFacet)."""

    assertion: str
    success: bool
    column: str | None = None
    severity: str | None = None
    name: str | None = None
    actual: Any = None
    expected: Any = None


class Result(NamedTuple):
    """The result of a check, the id of its event, and what the check is."""

    id: str
    event: QualityCheckPassed | QualityCheckFailed
    kind: str
    column: str | None


def check_results(event: RunEvent) -> list[Result]:
    """The results in the event that ends a run, each once; none in any other event.

    An assertion that is not readable is left out; the others count.
    """
    if not event.event_type.is_terminal:
        return []
    found: dict[str, Result] = {}
    for dataset in event.datasets:
        for assertion in _assertions(dataset):
            result = _result(event, dataset, assertion)
            found.setdefault(result.id, result)
            if len(found) == ASSERTIONS_MAX:
                return list(found.values())
    return list(found.values())


def check_id(asset: str, assertion: Assertion) -> str:
    """The same for the same assertion about the same asset, run after run."""
    return derive_id(
        "openlineage-check", asset, assertion.assertion, assertion.column or "", assertion.name or ""
    )


def dimension_of(assertion: str) -> Dimension:
    """What kind of quality an assertion is about, by the words in its name; validity where none tells."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])|[\s-]+", "_", assertion).lower()
    return next((dimension for pattern, dimension in _DIMENSIONS if re.search(pattern, words)), "validity")


def severity_of(assertion: Assertion) -> Severity:
    """How bad it is that it failed."""
    return _SEVERITIES.get((assertion.severity or "error").lower(), "error")


def _assertions(dataset: Dataset) -> Iterator[Assertion]:
    for facet in dataset.facet("dataQualityAssertions"):
        listed = facet.get("assertions")
        for item in listed if isinstance(listed, list) else ():
            try:
                yield msgspec.convert(item, Assertion)
            except msgspec.ValidationError:
                continue


def _result(event: RunEvent, dataset: Dataset, assertion: Assertion) -> Result:
    asset = dataset.urn
    of_it = check_id(asset, assertion)
    checked = _metric(dataset, "rowCount")
    made: QualityCheckPassed | QualityCheckFailed
    if assertion.success:
        made = QualityCheckPassed(
            check_id=of_it,
            asset=asset,
            dimension=dimension_of(assertion.assertion),
            rows_checked=checked,
            run_id=event.run.run_id,
        )
    else:
        made = QualityCheckFailed(
            check_id=of_it,
            asset=asset,
            dimension=dimension_of(assertion.assertion),
            severity=severity_of(assertion),
            rows_checked=checked,
            rows_failed=_rows_failed(assertion),
            message=_message(assertion),
            run_id=event.run.run_id,
        )
    return Result(
        derive_id("openlineage-result", event.run.run_id, of_it), made, assertion.assertion, assertion.column
    )


def _metric(dataset: Dataset, name: str) -> int:
    for facet in dataset.facet("dataQualityMetrics"):
        found = facet.get(name)
        if isinstance(found, int) and not isinstance(found, bool):
            return max(0, min(found, COUNT_MAX))
    return 0


def _rows_failed(assertion: Assertion) -> int:
    """dbt counts the rows that break a rule, and expects none."""
    if str(assertion.expected) != "0":
        return 0
    try:
        return max(0, min(int(str(assertion.actual)), COUNT_MAX))
    except ValueError:
        return 0


def _message(assertion: Assertion) -> str:
    of_what = f" of {assertion.column}" if assertion.column else ""
    found = "" if assertion.actual is None else f": {assertion.actual} found"
    wanted = "" if assertion.expected is None else f", {assertion.expected} expected"
    return f"{assertion.name or assertion.assertion}{of_what}{found}{wanted}"[:REASON_LENGTH_MAX]
