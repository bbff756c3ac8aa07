"""Why a query was not run, or did not come to its end.

TrunklineError
├── QueryFailed             it ran and ended with an error; `code` is that of query.failed.v1
├── QueryCancelled          somebody stopped it
├── Denied                  a policy refused it; exit code 3
├── InvalidInput
│   └── BadStatement        it is not one SELECT, or not SQL, or names what is not there
└── Unavailable
    └── PoliciesUnknown     it is not known which policies hold, so nothing is decided
"""

from typing import ClassVar

from trunkline.errors import InvalidInput, TrunklineError, Unavailable


class BadStatement(InvalidInput):
    """The statement is refused before any policy was asked. `code` is a word for programs."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class QueryFailed(TrunklineError):  # noqa: N818 - named for what happened
    """The engine ended it with an error. `code` is a word for programs."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class QueryCancelled(TrunklineError):  # noqa: N818 - named for what happened
    """It was stopped by `by` before it ended."""

    def __init__(self, by: str) -> None:
        super().__init__(f"the query was cancelled by {by}")
        self.by = by


class Denied(TrunklineError):  # noqa: N818 - named for what happened
    """A policy refused it: which one, in which revision, for which asset."""

    exit_code: ClassVar[int] = 3

    def __init__(
        self, *, asset: str, policy_id: str, revision: int, reason: str, temporary: bool = False
    ) -> None:
        """`temporary`: the policies themselves may allow it; they are too old to be relied on."""
        super().__init__(f"denied: {asset} by policy {policy_id} in revision {revision}: {reason}")
        self.asset = asset
        self.policy_id = policy_id
        self.revision = revision
        self.reason = reason
        self.temporary = temporary


class PoliciesUnknown(Unavailable):
    """The policies were not read yet; trying again in a moment may help."""
