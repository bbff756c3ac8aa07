"""Settings that belong to no service alone."""

from typing import Annotated, Final

from msgspec import Meta

from trunkline.services.settings.registry import LEVELS, Definition

DAY_MS: Final = 24 * 3_600_000
ROWS_MAX: Final = 100_000_000

QUERY_TIMEOUT: Final[Definition[int]] = Definition(
    "query.timeout_ms",
    Annotated[int, Meta(ge=1, le=DAY_MS)],
    levels=LEVELS,
    title="How long a query may take, in milliseconds",
)
QUERY_ROWS: Final[Definition[int]] = Definition(
    "query.rows_max",
    Annotated[int, Meta(ge=1, le=ROWS_MAX)],
    levels=LEVELS,
    title="How many rows a query may return",
)
DEFINITIONS: Final = (QUERY_TIMEOUT, QUERY_ROWS)
