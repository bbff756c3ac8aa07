"""What a query cost, by DuckDB's own profiler."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Processor time in microseconds, over all threads, and what the scans of tables looked at.

    Rows that a filter hides from the reader were looked at, too.
    """

    cpu_us: int
    rows_scanned: int
    bytes_scanned: int


def cost_of(profile: str) -> Cost:
    """The cost in what `get_profiling_information` gives as JSON."""
    root = json.loads(profile)
    return Cost(
        cpu_us=round(float(root.get("cpu_time", 0)) * 1_000_000),
        rows_scanned=int(root.get("cumulative_rows_scanned", 0)),
        bytes_scanned=_bytes_scanned(root),
    )


def _bytes_scanned(operator: Mapping[str, Any]) -> int:
    """Rows looked at times the width of the columns asked for, over all scans below an operator.

    The profiler itself counts bytes read from files, of which what is cached has none. A scan's width is
    known by the rows that passed its filter; one that let nothing pass counts as nothing.
    """
    read = 0
    if operator.get("operator_type") == "TABLE_SCAN" and (passed := operator["operator_cardinality"]):
        read = operator["operator_rows_scanned"] * operator["result_set_size"] // passed
    return read + sum(map(_bytes_scanned, operator.get("children", ())))
