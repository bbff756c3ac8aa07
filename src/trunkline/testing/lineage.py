"""OpenLineage run events for tests: as a producer of the spec's 2-0-2 sends them."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

BEGIN: Final = datetime(2026, 11, 23, 5, 21, tzinfo=UTC)
NAMESPACE: Final = "duckdb://jaffle_shop.duckdb"


def run_event(
    event_type: str,
    *,
    run: str = "01a206da-63d8-77ea-9894-b58a85a6c36e",
    seconds: float = 0,
    **others: Any,
) -> dict[str, Any]:
    """A run event of a job of dbt's, `seconds` after the beginning; `others` are members of it."""
    return {
        "eventTime": (BEGIN + timedelta(seconds=seconds)).isoformat(),
        "eventType": event_type,
        "run": {"runId": run, "facets": {}},
        "job": {"namespace": "dbt", "name": "jaffle_shop.main.orders.build.test", "facets": {}},
        "inputs": [],
        "outputs": [],
        "producer": "https://github.com/OpenLineage/OpenLineage/tree/1.54.0/integration/dbt",
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
    } | others


def dataset(name: str, *, namespace: str = NAMESPACE, **facets: Any) -> dict[str, Any]:
    """A dataset with input facets."""
    return {"namespace": namespace, "name": name, "facets": {}, "inputFacets": facets}


def assertion(name: str, *, success: bool = True, **others: Any) -> dict[str, Any]:
    """One assertion about the column `order_id`."""
    return {"assertion": name, "success": success, "column": "order_id", "severity": "error"} | others


def checked(name: str, *assertions: dict[str, Any], rows: int = 99) -> dict[str, Any]:
    """A dataset with assertions, and how many rows were looked at."""
    return dataset(
        name,
        dataQualityAssertions={"assertions": list(assertions)},
        dataQualityMetrics={"rowCount": rows, "columnMetrics": {}},
    )


def run_of_tests(*assertions: dict[str, Any], table: str = "jaffle_shop.main.orders", **others: Any) -> bytes:
    """The end of a run that has tested a table, as JSON."""
    return msgspec.json.encode(run_event("COMPLETE", inputs=[checked(table, *assertions)], **others))
