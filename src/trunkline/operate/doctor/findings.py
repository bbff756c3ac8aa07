"""What an examination finds."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How it stands."""

    OK = "ok"
    NOT_USED = "not-used"
    """The configuration does without it, such as TLS."""

    NOT_CHECKED = "not-checked"
    """It cannot be told; the text says why."""

    WARNING = "warning"
    """It works, and will not for ever, or not as the catalogue says."""

    FAILED = "failed"
    """The service cannot do its work."""


class Family(StrEnum):
    """The kinds of checks, in the order in which they are made: each needs those before it."""

    REACHABILITY = "reachability"
    TLS = "tls"
    CREDENTIALS = "credentials"
    BROKERS = "brokers"
    VERSIONS = "versions"
    RIGHTS = "rights"
    TOPICS = "topics"
    CLOCK = "clock"
    GROUP = "group"
    STORE = "store"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line. `about` names the thing, `text` says what was found, `remedy` what to do; it may be empty."""

    family: Family
    about: str
    verdict: Verdict
    text: str
    remedy: str = ""

    @property
    def sentence(self) -> str:
        """What was found and what to do, for people."""
        found = f"{self.about}: {self.text}" if self.about else self.text
        return f"{found}; {self.remedy}" if self.remedy else found


def counted(number: int, noun: str) -> str:
    """`1 member`, `2 members`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def ok(family: Family, about: str, text: str) -> Finding:
    """It is as it has to be."""
    return Finding(family=family, about=about, verdict=Verdict.OK, text=text)


def warning(family: Family, about: str, text: str, remedy: str = "") -> Finding:
    """It works for now."""
    return Finding(family=family, about=about, verdict=Verdict.WARNING, text=text, remedy=remedy)


def failed(family: Family, about: str, text: str, remedy: str = "") -> Finding:
    """It does not work."""
    return Finding(family=family, about=about, verdict=Verdict.FAILED, text=text, remedy=remedy)


def not_checked(family: Family, about: str, text: str, remedy: str = "") -> Finding:
    """Nothing is known, for this reason."""
    return Finding(family=family, about=about, verdict=Verdict.NOT_CHECKED, text=text, remedy=remedy)


def not_used(family: Family, about: str, text: str) -> Finding:
    """The configuration does without."""
    return Finding(family=family, about=about, verdict=Verdict.NOT_USED, text=text)


def tally(findings: Iterable[Finding]) -> dict[Verdict, int]:
    """How many there are of each verdict."""
    counts = Counter(finding.verdict for finding in findings)
    return {verdict: counts[verdict] for verdict in Verdict}
