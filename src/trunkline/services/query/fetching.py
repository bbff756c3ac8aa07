"""Takes the rows of a result, up to a number of them and of what they take."""

from typing import Any, Final

import duckdb

from trunkline.services.query.errors import QueryFailed

FETCH_ROWS: Final = 512
RESULT_BYTES_MAX: Final = 32 << 20
"""Of one answer, by a rough count of what its values take."""

VALUE_BYTES: Final = 16


def fetched(cursor: duckdb.DuckDBPyConnection, rows_max: int) -> tuple[list[tuple[Any, ...]], bool]:
    """The rows up to the limit, and whether there were more. Raises `QueryFailed` for too many bytes."""
    rows: list[tuple[Any, ...]] = []
    taken = 0
    while chunk := cursor.fetchmany(FETCH_ROWS):
        taken += sum(_bytes_of(value) for row in chunk for value in row)
        if taken > RESULT_BYTES_MAX:
            raise QueryFailed("result_too_large", f"the result takes more than {RESULT_BYTES_MAX >> 20} MiB")
        rows += chunk
        if len(rows) > rows_max:
            return rows[:rows_max], True
    return rows, False


def _bytes_of(value: object) -> int:
    if isinstance(value, (str, bytes)):
        return VALUE_BYTES + len(value)
    if isinstance(value, dict):
        return VALUE_BYTES + sum(_bytes_of(one) for pair in value.items() for one in pair)
    if isinstance(value, (list, tuple)):
        return VALUE_BYTES + sum(map(_bytes_of, value))
    return VALUE_BYTES
