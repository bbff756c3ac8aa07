"""Everything that is particular to PostgreSQL.

Writers run at READ COMMITTED. That is enough, because nothing that must hold rests on what a transaction has
read before: a batch first moves its group's position by a compare-and-set, which locks the row until the
end, so of two members with the same batch one waits and then finds the position moved. What two transactions
could do in spite of that, insert the same event from two partitions, fails on a primary key, and the loser
is tried again. At a higher level the same collisions would end as serialization failures, only more of them.
Readers run at REPEATABLE READ, so that all their queries see one snapshot.

The time limits are there for the dead and the frozen: a server that is gone is noticed in seconds, and a
member that is frozen in the middle of a transaction loses its locks instead of keeping them for ever.
"""

from typing import Any, Final

from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError

BACKEND: Final = "postgresql"
DRIVER: Final = "postgresql+psycopg"

CONNECT_SECONDS: Final = 5
"""How long a connection may take to be made; also to each address of a name with several."""

SILENT_SECONDS: Final = 15
"""How long a host may leave what was sent unacknowledged before the connection counts as lost."""

LOCK_SECONDS: Final = 10
"""How long a statement waits for another transaction's locks."""

STATEMENT_SECONDS: Final = 60
IDLE_IN_TRANSACTION_SECONDS: Final = 60
"""How long a client may be silent within a transaction before the server ends it, and frees its locks."""

POOL_SECONDS: Final = 10
"""How long a thread waits for a connection of the pool."""

READ: Final[dict[str, Any]] = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
"""Execution options of a connection that is only going to read."""

_TRANSIENT_CLASSES: Final = frozenset({"08", "40", "53", "57", "58"})
"""Connection, serialization failure or deadlock, resources (disk, memory, connections), an operator
(shutdown, time-out), I/O errors: postgresql.org/docs/current/errcodes-appendix.html."""

_TRANSIENT_CODES: Final = frozenset(
    {
        "55P03",  # lock_not_available: LOCK_SECONDS are over.
        "25P03",  # idle_in_transaction_session_timeout: this process was frozen.
        "25006",  # read_only_sql_transaction: the server was demoted; its successor will answer.
    }
)


def normalised(url: URL) -> URL:
    """The same database through psycopg 3, which is the driver of `postgresql://`, too."""
    return url.set(drivername=DRIVER) if url.drivername == BACKEND else url


def engine_options() -> dict[str, Any]:
    """What `create_engine` gets: the time limits, and a look at each connection before it is used."""
    settings = {
        "lock_timeout": LOCK_SECONDS,
        "statement_timeout": STATEMENT_SECONDS,
        "idle_in_transaction_session_timeout": IDLE_IN_TRANSACTION_SECONDS,
    }
    return {
        "pool_pre_ping": True,
        "pool_timeout": POOL_SECONDS,
        "connect_args": {
            "connect_timeout": CONNECT_SECONDS,
            "tcp_user_timeout": SILENT_SECONDS * 1000,
            "keepalives_idle": SILENT_SECONDS // 3,
            "keepalives_interval": SILENT_SECONDS // 3,
            "keepalives_count": 2,
            "application_name": "trunkline",
            "options": " ".join(f"-c {name}={seconds}s" for name, seconds in settings.items()),
        },
    }


_IN_ERROR: Final = 3
"""libpq's PQTRANS_INERROR, postgresql.org/docs/current/libpq-status.html."""

_OTHER: Final = "00000"
_CONNECTION_ERRORS: Final = frozenset({"OperationalError", "InterfaceError", "ConnectionTimeout"})


def is_transient(error: DBAPIError) -> bool:
    """Whether waiting may help: the server is away, full, busy or shutting down; not a wrong statement."""
    if error.connection_invalidated and getattr(error.orig, "sqlstate", None) is None:
        return True
    return is_transient_driver_error(error.orig)


def is_transient_driver_error(error: BaseException | None) -> bool:
    """The same of an exception of psycopg; False of any other."""
    code = getattr(error, "sqlstate", _OTHER)
    if code is None:
        # The driver's own complaint: no connection, or one that was lost. Psycopg calls both operational.
        return type(error).__name__ in _CONNECTION_ERRORS
    return code[:2] in _TRANSIENT_CLASSES or code in _TRANSIENT_CODES


def is_aborted(driver: Any) -> bool:
    """Whether a statement of the transaction has failed: it takes no other, and can only be rolled back."""
    return bool(driver.info.transaction_status == _IN_ERROR)
