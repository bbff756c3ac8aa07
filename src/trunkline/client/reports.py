"""What a consumer logs and counts of what it met in its partitions."""

from collections.abc import Sequence

from trunkline.client.batch import Outcome
from trunkline.client.kafka import Partition
from trunkline.client.log import Log
from trunkline.client.metrics import ConsumerMetrics
from trunkline.client.starts import Start
from trunkline.client.store import failures
from trunkline.client.telling import about, loggable, shown

_log = Log("trunkline.consumer")


class Reports:
    """Of one member."""

    def __init__(self, group: str, metrics: ConsumerMetrics) -> None:
        self._group = group
        self._metrics = metrics
        self._told: dict[Partition, str] = {}

    def refused(self, topic: str, outcome: Outcome) -> None:
        """These records of a batch went into the ledger."""
        for record, refusal in outcome.refused:
            self._metrics.failure(topic, refusal.reason)
            tell = _log.info if refusal.reason == failures.PARKED else _log.error
            tell(
                "event parked" if refusal.reason == failures.PARKED else "event failed",
                group=self._group,
                **about(record),
                reason=refusal.reason,
                error=loggable(refusal),
            )

    def cannot_start(self, keys: Sequence[Partition], why: str, wait: float) -> None:
        """Partitions may wait long, and are asked about often; a reason is told when it is new."""
        new = [key for key in keys if self._told.get(key) != why]
        if new:
            self._told.update(dict.fromkeys(new, why))
            _log.warning("cannot start partitions yet", partitions=shown(new), error=why, wait=wait)

    def expired(self, key: Partition, records: int) -> None:
        """Retention was faster than this consumer."""
        topic, partition = key
        self._metrics.expired(topic, records)
        _log.error(
            "retention deleted records before they were consumed",
            group=self._group,
            topic=topic,
            partition=partition,
            records=records,
        )

    def started(self, key: Partition, start: Start) -> None:
        """A partition is read; what was lost of it is told."""
        self._told.pop(key, None)
        lane = start.lane
        if start.expired:
            self.expired((lane.topic, lane.partition), start.expired)
        if start.rewound_from is not None:
            _log.error(
                "the log ends before the position; reading it again from its beginning",
                topic=lane.topic,
                partition=lane.partition,
                position=start.rewound_from,
            )
