"""Whose fault a handler's exception is: the event's, which is skipped into the ledger, or the world's.

The world is at fault, and the same events are tried again until it is back, at:

- `RetryLater`, and everything that derives from `trunkline.errors.Unavailable`
- `ConnectionError` and `TimeoutError`, so every socket and asyncio time-out, too
- `socket.gaierror` and `socket.herror`: a name that cannot be resolved
- `ssl.SSLError`, except `ssl.SSLCertVerificationError`: a certificate that is wrong stays wrong
- an `OSError` with a number of `SYSTEM_ERRORS`: no network, no disk, no descriptors, no memory
- a database that is away, busy, full or shutting down, through SQLAlchemy or its driver: SQLAlchemy's own
  exhausted pool or `connection_invalidated`; SQLite's, PostgreSQL's transient codes (`store.sqlite`,
  `store.postgres`); a psycopg `OperationalError` or `InterfaceError` that no statement has caused

It is also where one of these lies behind the exception: as its `__cause__` or `__context__`, in its `reason`,
where `urllib` keeps it, or in its group. So the errors of requests, httpx, aiohttp and urllib3 count without
being named here.

`PermanentFailure` is the handler's own word that the event is at fault, and what lies behind it does not
count. An answer is no outage: for an HTTP status such as 503 a handler raises `RetryLater` itself.
"""

import errno
import socket
import ssl
from collections.abc import Iterator
from typing import Final

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolExhausted

from trunkline.client.handler import PermanentFailure, RetryLater
from trunkline.client.store import postgres, sqlite
from trunkline.errors import Unavailable

SYSTEM_ERRORS: Final = frozenset(
    {
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOMEM,
        errno.ENOBUFS,
        errno.EIO,
        errno.EROFS,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.EADDRNOTAVAIL,
    }
)
"""System errors that are no event's fault: full disk or table, no network, no port left."""

LINKS_MAX: Final = 32
"""So many exceptions behind one are looked at."""

_AWAY: Final = (
    RetryLater,
    Unavailable,
    ConnectionError,
    TimeoutError,
    socket.gaierror,
    socket.herror,
    PoolExhausted,
)


def is_world_at_fault(error: BaseException) -> bool:
    """Whether a handler's exception says nothing about the event; see the head of this module."""
    return any(_is_outage(link) for link in _links(error))


def one_line(error: BaseException) -> str:
    """What an exception says, for the ledger and the log."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _links(error: BaseException) -> Iterator[BaseException]:
    """An exception and what lies behind it, nearest first, each once."""
    waiting, seen = [error], {id(error)}
    for _ in range(LINKS_MAX):
        if not waiting:
            return
        link = waiting.pop(0)
        yield link
        if isinstance(link, PermanentFailure):
            continue
        for behind in _behind(link):
            if id(behind) not in seen:
                seen.add(id(behind))
                waiting.append(behind)


def _behind(error: BaseException) -> Iterator[BaseException]:
    context = None if error.__suppress_context__ else error.__context__
    for behind in (error.__cause__, context, getattr(error, "reason", None)):
        if isinstance(behind, BaseException):
            yield behind
    if isinstance(error, BaseExceptionGroup):
        yield from error.exceptions


def _is_outage(error: BaseException) -> bool:
    if isinstance(error, _AWAY):
        return True
    if isinstance(error, ssl.SSLError):
        return not isinstance(error, ssl.SSLCertVerificationError)
    if isinstance(error, OSError):
        return error.errno in SYSTEM_ERRORS
    if isinstance(error, DBAPIError):
        return error.connection_invalidated  # What the driver said is its cause, and looked at as such.
    return sqlite.is_transient(error) or postgres.is_transient_driver_error(error)
