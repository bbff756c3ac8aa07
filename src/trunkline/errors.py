"""The root of every error a user can see.

    TrunklineError            exit code 1: the operation or check failed
    ├── InvalidInput          exit code 2: a flag, a file or an argument is wrong; nothing was done
    │   └── NotFound          exit code 2: the name or the id is of nothing that there is; over HTTP 404
    └── Unavailable           exit code 4: a broker, a store or a port cannot be had right now

The text of an error is one line for the user: what is wrong, where, and what to do. The command line prints
it without a traceback; everything that is not a TrunklineError is a bug and keeps its traceback.
"""

from typing import ClassVar


class TrunklineError(Exception):
    """The operation failed for a reason the user can act on."""

    exit_code: ClassVar[int] = 1


class InvalidInput(TrunklineError):  # noqa: N818 - reads as what it is
    """What the user gave is wrong; it was refused whole and nothing was done."""

    exit_code: ClassVar[int] = 2


class NotFound(InvalidInput):
    """What was named does not exist. Over HTTP for what the path names only; else `InvalidInput`."""


class Unavailable(TrunklineError):  # noqa: N818 - reads as what it is
    """Something this needs is not reachable or is in use; trying again later may help."""

    exit_code: ClassVar[int] = 4
