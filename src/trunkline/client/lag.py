"""How far a consumer group is behind, in records: pure arithmetic over what the cluster says."""

from collections.abc import Mapping
from dataclasses import dataclass

from trunkline.catalogue.model import Catalogue
from trunkline.client.kafka import Partition


@dataclass(frozen=True, slots=True, kw_only=True)
class Lag:
    """How far a group is behind in one partition.

    `committed` is None where it never committed. `seconds` is the age of the first record that it has not
    consumed, 0 where there is none, and None where nobody has looked.
    """

    group: str
    topic: str
    partition: int
    committed: int | None
    end: int
    lag: int
    seconds: float | None = None

    @property
    def position(self) -> int:
        """The offset of the first record that the group has not consumed and that is still there."""
        return self.end - self.lag


def lag_of(group: str, key: Partition, *, committed: int | None, bounds: tuple[int, int]) -> Lag:
    """A partition without a commit counts from its first record, as one where retention was faster does."""
    low, end = bounds
    begin = low if committed is None else max(committed, low)
    return Lag(
        group=group,
        topic=key[0],
        partition=key[1],
        committed=committed,
        end=end,
        lag=max(end - begin, 0),
    )


def read_by(
    catalogue: Catalogue, group: str, *, counts: Mapping[str, int], committed: Mapping[Partition, int]
) -> set[Partition]:
    """What a group reads: where it has committed, and what the contract lets it share of existing topics.

    `counts` are the partitions of each topic on the cluster.
    """
    keys = set(committed)
    if group in catalogue.services:
        keys.update(
            (topic.name, number)
            for topic in catalogue.shared_by(group)
            for number in range(counts.get(topic.name, 0))
        )
    return keys
