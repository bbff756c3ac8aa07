"""How an instance keeps up to date."""

from dataclasses import dataclass
from pathlib import Path

from trunkline.errors import InvalidInput


@dataclass(frozen=True, slots=True, kw_only=True)
class BroadcastOptions:
    """What may differ between instances. Times are in seconds.

    An instance is stale when it has not known for `stale_seconds` that it has read everything. Every
    `check_seconds` it asks the cluster for ends and partitions, so that also bounds how soon a new partition
    is read. `last_known_good` is a file to start with while the cluster is away.
    """

    stale_seconds: float = 60.0
    check_seconds: float = 5.0
    last_known_good: Path | None = None

    def __post_init__(self) -> None:
        if self.stale_seconds < 2 * self.check_seconds:
            raise InvalidInput(
                f"stale after {self.stale_seconds:g} s and asking every {self.check_seconds:g} s: one late "
                "answer would count; make it at least twice as long"
            )
