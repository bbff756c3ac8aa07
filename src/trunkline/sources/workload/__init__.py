"""Input for trying the backbone out: real queries on TPC-H, and believable lifecycles around them."""

from trunkline.sources.workload.queries import MeasuredQuery, measure_queries
from trunkline.sources.workload.stream import Produced, workload

__all__ = ["MeasuredQuery", "Produced", "measure_queries", "workload"]
