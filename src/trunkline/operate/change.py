"""One difference between what the catalogue says and what is there, and what mending it risks."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

ABSENT: Final = "absent"
"""How something that is not there, or shall not be, is shown."""


class Risk(StrEnum):
    """What mending a difference may cost."""

    SAFE = "safe"
    """Nothing."""

    REBALANCE = "needs-rebalance"
    """Replicas move between brokers, or brokers are restarted one after the other."""

    ACCESS = "cuts-off"
    """Somebody can no longer do what they could."""

    ORDER = "breaks-key-order"
    """Keys move to other partitions, so that events of one tenant may pass each other."""

    DATA = "loses-data"
    """Records are deleted for good."""


class Layer(StrEnum):
    """What differs from the catalogue."""

    RESOURCE = "resource"
    """A manifest: in files, or in the Kubernetes API."""

    CLUSTER = "cluster"
    """Kafka itself, as its Admin API tells."""


class Verb(StrEnum):
    """What mending does to the thing."""

    CREATE = "create"
    ALTER = "alter"
    DELETE = "delete"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What has to be done to one thing so that it is as the catalogue says.

    `kind` and `name` say to what, such as `topic query.execution.events` or `KafkaTopic ...`; `field` which
    part of it, empty for the whole. `found` and `wanted` are texts. `why` is one sentence about the risk.
    `remedy` is for what `trunkline apply` cannot or will not do, whatever it is allowed: what a person does.
    """

    layer: Layer
    verb: Verb
    kind: str
    name: str
    risk: Risk
    why: str
    field: str = ""
    found: str = ABSENT
    wanted: str = ABSENT
    remedy: str = ""

    @property
    def subject(self) -> str:
        """What it is about, for people: kind, name and field."""
        return " ".join(part for part in (self.kind, self.name, self.field) if part)


def worst(changes: Iterable[Change]) -> Risk | None:
    """The gravest risk among them; none where there are no changes."""
    ranks = list(Risk)
    return max((change.risk for change in changes), key=ranks.index, default=None)
