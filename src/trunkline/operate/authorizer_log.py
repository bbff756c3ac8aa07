"""What Kafka's authoriser has written down: who has asked for what, and whether it was allowed.

StandardAuthorizer logs under `kafka.authorizer.logger`, one line each: what it denies at INFO and what it
allows at DEBUG (StandardAuthorizerData.java). Kafka 3 wrote operations in mixed case, which is read as well:

    … DEBUG Principal = User:audit-service is Allowed operation = READ from host = 10.0.0.7 on resource =
    Topic:LITERAL:query.execution.events for request = Fetch with resourceRefCount = 1 based on rule …
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

_LINE: Final = re.compile(
    r"Principal = (?P<principal>.+?) is (?P<verdict>Allowed|Denied) operation = (?P<operation>\w+) "
    r"from host = (?P<host>\S+) on resource = (?P<resource>\w+):(?P<pattern>[A-Z]+):(?P<name>\S+)"
    r"(?: for request = (?P<request>\w+))?",
    re.IGNORECASE,
)
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d")
_KINDS: Final = {
    "topic": "topic",
    "group": "group",
    "transactionalid": "transactional_id",
    "cluster": "cluster",
}


class Attempt(NamedTuple):
    """Somebody's use of one operation on one resource, named as in `trunkline.catalogue.access`."""

    principal: str
    operation: str
    resource: str
    name: str


@dataclass(slots=True, kw_only=True)
class Times:
    """How often, and when first and last: in the broker's own time, empty where its log has none."""

    count: int = 0
    first: str = ""
    last: str = ""
    hosts: set[str] = field(default_factory=set)

    def add(self, at: str, host: str) -> None:
        """One more. Lines may come in any order, such as from several brokers."""
        self.count += 1
        if at:
            self.first = min(self.first or at, at)
            self.last = max(self.last, at)
        if len(self.hosts) < HOSTS_MAX:
            self.hosts.add(host)


HOSTS_MAX: Final = 20
"""Of one attempt; more tell nothing more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizerLog:
    """All that was in the lines. `first` and `last` bound the time that they are about."""

    allowed: dict[Attempt, Times]
    denied: dict[Attempt, Times]
    first: str
    last: str

    @property
    def span(self) -> str:
        """From when to when, for people."""
        return f"{self.first} to {self.last}" if self.first else "lines without times"


def read_authorizer_log(lines: Iterable[str]) -> AuthorizerLog:
    """Count the attempts in these lines; what is about something else is passed over.

    Only sums are kept, so that a log may be of any length.
    """
    allowed: dict[Attempt, Times] = {}
    denied: dict[Attempt, Times] = {}
    whole = Times()
    for line in lines:
        found = _LINE.search(line)
        if found is None:
            continue
        time = _TIME.search(line, 0, found.start())
        at = "" if time is None else time[0].replace("T", " ")
        into = allowed if found["verdict"].lower() == "allowed" else denied
        into.setdefault(_attempt(found), Times()).add(at, found["host"])
        whole.add(at, "")
    return AuthorizerLog(allowed=allowed, denied=denied, first=whole.first, last=whole.last)


def _attempt(found: re.Match[str]) -> Attempt:
    kind = found["resource"].lower().replace("_", "")
    return Attempt(
        principal=found["principal"],
        operation=_operation(found["operation"]),
        resource=_KINDS.get(kind, kind),
        name=found["name"],
    )


def _operation(text: str) -> str:
    """`DESCRIBE_CONFIGS`, and Kafka 3's `DescribeConfigs`, as ACLs have it."""
    if text.isupper():
        return "".join(map(str.capitalize, text.split("_")))
    return text[0].upper() + text[1:]
