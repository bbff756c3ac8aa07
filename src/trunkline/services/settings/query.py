"""What can be set of the query engine, beside `query.timeout_ms` and `query.rows_max`."""

from typing import Annotated, Final, Literal, TypeAlias

from msgspec import Meta

from trunkline.services.settings.registry import LEVELS, Definition

Access: TypeAlias = Literal["open", "closed"]
DataSet: TypeAlias = Literal["tpch", "empty"]

DEFAULT_ACCESS: Final[Definition[Access]] = Definition(
    "query.default_access",
    Access,
    levels=LEVELS,
    title="Whether tables that no access policy is about may be read: open or closed",
)
DATA_SET: Final[Definition[DataSet]] = Definition(
    "query.data_set",
    DataSet,
    levels=LEVELS,
    title="What a tenant's database is made with when there is none: tpch or empty",
)
LOG_ROWS: Final[Definition[int]] = Definition(
    "query.log_rows",
    Annotated[int, Meta(ge=100, le=1_000_000)],
    levels=LEVELS,
    title="How many entries of a tenant the query log keeps",
)
DEFINITIONS: Final = (DEFAULT_ACCESS, DATA_SET, LOG_ROWS)
