"""A topic that grows under test: in a hurry, looked at from outside, dead at any step."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from trunkline.catalogue.internal import GROWTH_JOURNAL
from trunkline.client.config import (
    ConnectionOptions,
    ConsumerOptions,
    ProducerOptions,
    admin_config,
    consumer_config,
    producer_config,
)
from trunkline.client.growth.fence import SETTING
from trunkline.client.growth.grow import Grower
from trunkline.client.growth.journal import KnownGrowths
from trunkline.client.growth.plan import Growth
from trunkline.client.growth.progress import Doing, Pace, Progress
from trunkline.client.kafka import Admin, Consumer, Producer, Report
from trunkline.codec.record import Encoded

HURRY: Final = Pace(drain=5.0, quiet=0.02, lease=0.05, takeover=0.02, poll=0.02)


class Died(BaseException):
    """As if the process had been killed: nothing of it runs on."""


@dataclass
class Desk:
    """One topic, and everything to grow it and to look at it."""

    connection: ConnectionOptions
    topic: str
    told: list[Progress] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.admin = Admin(admin_config(self.connection))

    def grower(
        self,
        *,
        pace: Pace = HURRY,
        ignored: tuple[str, ...] = (),
        consumers: tuple[str, ...] = (),
        tell: Callable[[Progress], None] | None = None,
    ) -> Grower:
        return Grower(
            self.connection, pace=pace, ignored=ignored, consumers=consumers, tell=tell or self.told.append
        )

    def publish(self) -> str | None:
        """The error with which a plain client's record was refused, None if it was taken."""
        return self._send(self.topic, Encoded(b"acme", b"x", []))

    def spoil_journal(self) -> None:
        """Have an entry in the journal that this version does not know."""
        assert self._send(GROWTH_JOURNAL.name, Encoded(self.topic.encode(), b'{"version":9}', [])) is None

    def read_all(self, group: str, *, commit: bool = True) -> None:
        """Read the topic to its end as a group of a plain client."""
        consumer = Consumer(consumer_config(self.connection, ConsumerOptions(group=group)))
        keys = [(self.topic, number) for number in range(self.partitions)]
        bounds = self.admin.offsets(keys)
        consumer.assign({key: low for key, (low, _) in bounds.items()})
        consumer.commit({key: high if commit else low for key, (low, high) in bounds.items()})
        consumer.close()

    def _send(self, topic: str, record: Encoded) -> str | None:
        producer: Producer[None] = Producer(
            {
                **producer_config(self.connection, ProducerOptions()),
                "linger.ms": 0,
                "enable.idempotence": False,
            }
        )
        producer.send(topic, record, None)
        reports: list[Report[None]] = []
        while not reports:
            reports = producer.poll(0.1)
        return reports[0].code

    @property
    def partitions(self) -> int:
        return self.admin.describe([self.topic])[self.topic].partitions

    @property
    def own_setting(self) -> str | None:
        return self.admin.overrides(self.topic).get(SETTING)

    @property
    def last(self) -> Growth:
        return [growth for growth in KnownGrowths().refreshed(self.admin) if growth.topic == self.topic][-1]

    def doings(self) -> list[Doing]:
        return list(dict.fromkeys(progress.doing for progress in self.told))
