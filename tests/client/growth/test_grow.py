"""Growing a topic on the embedded broker: what is closed when, what goes on after which death."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from trunkline.client.config import (
    ConnectionOptions,
    ConsumerOptions,
    ProducerOptions,
    admin_config,
    consumer_config,
    producer_config,
)
from trunkline.client.errors import GrowthOvertaken, GrowthStopped, InvalidGrowth
from trunkline.client.growth import fence
from trunkline.client.growth.fence import SETTING
from trunkline.client.growth.grow import Doing, Grower, Pace, Progress
from trunkline.client.growth.journal import KnownGrowths
from trunkline.client.growth.plan import Growth, Stage
from trunkline.client.kafka import Admin, Consumer, Producer, Report
from trunkline.codec.record import Encoded
from trunkline.testing.processes import BrokerProcess

HURRY = Pace(drain=5.0, quiet=0.02, lease=0.05, takeover=0.02, poll=0.02)


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
        producer: Producer[None] = Producer(
            {
                **producer_config(self.connection, ProducerOptions()),
                "linger.ms": 0,
                "enable.idempotence": False,
            }
        )
        producer.send(self.topic, Encoded(b"acme", b"x", []), None)
        reports: list[Report[None]] = []
        while not reports:
            reports = producer.poll(0.1)
        return reports[0].code

    def read_all(self, group: str, *, commit: bool = True) -> None:
        """Read the topic to its end as a group of a plain client."""
        consumer = Consumer(consumer_config(self.connection, ConsumerOptions(group=group)))
        keys = [(self.topic, number) for number in range(self.partitions)]
        bounds = self.admin.offsets(keys)
        consumer.assign({key: low for key, (low, _) in bounds.items()})
        consumer.commit({key: high if commit else low for key, (low, high) in bounds.items()})
        consumer.close()

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


@pytest.fixture
def desk(broker: BrokerProcess, unique: Callable[[str], str]) -> Desk:
    connection = ConnectionOptions(bootstrap_servers=broker.address)
    topic = unique("grow.this.topic")
    Admin(admin_config(connection)).create(topic, partitions=3, replication_factor=1, config={})
    return Desk(connection, topic)


def test_a_topic_is_closed_drained_grown_and_opened(desk: Desk) -> None:
    assert desk.publish() is None
    desk.read_all("reader")
    states: dict[Doing, tuple[str | None, int]] = {}

    def look(progress: Progress) -> None:
        desk.told.append(progress)
        if progress.doing in (Doing.CLOSED, Doing.ADDED, Doing.OPENED):
            states[progress.doing] = (desk.publish(), desk.partitions)

    growth = desk.grower(tell=look).grow(desk.topic, 6)
    assert states == {
        Doing.CLOSED: ("MSG_SIZE_TOO_LARGE", 3),
        Doing.ADDED: ("MSG_SIZE_TOO_LARGE", 6),
        Doing.OPENED: (None, 6),
    }
    assert desk.doings() == [
        Doing.CLOSING,
        Doing.CLOSED,
        Doing.DRAINING,
        Doing.DRAINED,
        Doing.ADDED,
        Doing.SETTLED,
        Doing.OPENED,
        Doing.DONE,
    ]
    assert (growth.stage, sum(growth.barriers.values()), len(growth.barriers)) == (Stage.RELEASED, 1, 3)
    assert desk.last == growth


@pytest.mark.parametrize("own", [None, "500000"])
def test_the_topic_gets_its_own_setting_back_or_none(desk: Desk, own: str | None) -> None:
    desk.admin.configure(desk.topic, {SETTING: own})
    desk.grower().grow(desk.topic, 6)
    assert desk.own_setting == own


def test_what_the_growth_waits_for_is_told_live(desk: Desk) -> None:
    desk.publish()
    desk.read_all("slow", commit=False)

    def catch_up(progress: Progress) -> None:
        desk.told.append(progress)
        if progress.lags.get("slow"):
            desk.read_all("slow")

    desk.grower(tell=catch_up).grow(desk.topic, 6)
    lags = [progress.lags["slow"] for progress in desk.told if progress.doing is Doing.DRAINING]
    assert (lags[0], lags[-1]) == (1, 0)


def test_a_group_that_does_not_drain_in_time_leaves_the_topic_open_and_as_it_was(desk: Desk) -> None:
    desk.publish()
    desk.read_all("stuck", commit=False)
    with pytest.raises(GrowthStopped, match=r"stuck by 1 records.*open to publishers again"):
        desk.grower(pace=Pace(drain=0.1, quiet=0.02, poll=0.02)).grow(desk.topic, 6)
    assert (desk.partitions, desk.own_setting, desk.publish()) == (3, None, None)
    assert desk.last.stage is Stage.ABANDONED
    desk.grower(ignored=("stuck",)).grow(desk.topic, 6)
    assert desk.partitions == 6


def test_a_consumer_of_the_contract_that_runs_elsewhere_has_to_drain_too(desk: Desk) -> None:
    other = Desk(desk.connection, f"{desk.topic}.other")
    other.admin.create(other.topic, partitions=1, replication_factor=1, config={})
    other.read_all("audit-service")
    desk.publish()
    hasty = Pace(drain=0.1, quiet=0.02, poll=0.02)
    with pytest.raises(GrowthStopped, match="audit-service by 1 records"):
        desk.grower(consumers=("audit-service", "never-started"), pace=hasty).grow(desk.topic, 6)


@pytest.mark.parametrize(
    "at", [doing for doing in Doing if doing not in (Doing.RESUMING, Doing.OVERDUE, Doing.ABANDONED)]
)
def test_a_run_that_dies_at_any_step_is_gone_on_with(desk: Desk, at: Doing) -> None:
    desk.publish()
    desk.read_all("reader")

    def die(progress: Progress) -> None:
        if progress.doing is at:
            raise Died

    with pytest.raises(Died):
        desk.grower(tell=die).grow(desk.topic, 6)
    if at is Doing.DONE:
        assert desk.last.stage is Stage.RELEASED
    else:
        desk.grower().grow(desk.topic, 6)
        assert desk.doings()[0] is Doing.RESUMING
    assert (desk.partitions, desk.own_setting, desk.publish()) == (6, None, None)
    assert (desk.last.stage, len(desk.last.barriers)) == (Stage.RELEASED, 3)


@pytest.mark.parametrize("at", [Doing.CLOSING, Doing.CLOSED, Doing.DRAINING, Doing.DRAINED])
def test_until_the_partitions_are_there_a_growth_can_be_abandoned(desk: Desk, at: Doing) -> None:
    def die(progress: Progress) -> None:
        if progress.doing is at:
            raise Died

    with pytest.raises(Died):
        desk.grower(tell=die).grow(desk.topic, 6)
    assert desk.grower().abandon(desk.topic).stage is Stage.ABANDONED
    assert (desk.partitions, desk.own_setting, desk.publish()) == (3, None, None)
    with pytest.raises(InvalidGrowth, match="no growth"):
        desk.grower().abandon(desk.topic)


def test_partitions_that_are_there_cannot_be_taken_back(desk: Desk) -> None:
    def die(progress: Progress) -> None:
        if progress.doing is Doing.ADDED:
            raise Died

    with pytest.raises(Died):
        desk.grower(tell=die).grow(desk.topic, 6)
    with pytest.raises(InvalidGrowth, match="cannot be taken back; finish with --partitions 6"):
        desk.grower().abandon(desk.topic)


def test_another_number_is_refused_while_a_growth_is_under_way(desk: Desk) -> None:
    def die(progress: Progress) -> None:
        raise Died

    with pytest.raises(Died):
        desk.grower(tell=die).grow(desk.topic, 6)
    with pytest.raises(InvalidGrowth, match="growing from 3 to 6"):
        desk.grower().grow(desk.topic, 9)
    with pytest.raises(InvalidGrowth, match="under way"):
        desk.grower().grow_unsafely(desk.topic, 9)


def test_a_run_that_is_overtaken_stops_and_closes_nothing_again(desk: Desk) -> None:
    def overtaken(progress: Progress) -> None:
        if progress.doing is Doing.DRAINING:
            desk.grower().grow(desk.topic, 6)

    with pytest.raises(GrowthOvertaken, match=r"another (growth|run)"):
        desk.grower(tell=overtaken).grow(desk.topic, 6)
    assert (desk.partitions, desk.own_setting, desk.publish()) == (6, None, None)


def test_a_stop_says_what_it_leaves_behind(desk: Desk) -> None:
    desk.publish()
    desk.read_all("stuck", commit=False)
    grower = desk.grower(tell=lambda progress: grower.stop() if progress.doing is Doing.DRAINING else None)
    with pytest.raises(GrowthStopped, match=r"may be closed.*grow \S+ --partitions 6` again.*--abandon"):
        grower.grow(desk.topic, 6)
    assert desk.publish() == "MSG_SIZE_TOO_LARGE"


def test_who_undoes_the_fence_ends_the_growth(desk: Desk) -> None:
    desk.publish()
    desk.read_all("stuck", commit=False)

    def undo(progress: Progress) -> None:
        if progress.doing is Doing.DRAINING:
            fence.reopen(desk.admin, desk.topic, None)

    with pytest.raises(GrowthStopped, match=r"something else has changed its max\.message\.bytes"):
        desk.grower(tell=undo).grow(desk.topic, 6)
    assert (desk.partitions, desk.own_setting, desk.last.stage) == (3, None, Stage.ABANDONED)


def test_what_arrives_after_the_topic_was_drained_moves_the_barriers(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fence is switched off here, so a late append stands for one that had slipped through."""
    monkeypatch.setattr(fence, "keep_closed", lambda *_: True)
    desk.publish()
    desk.read_all("reader")

    def late(progress: Progress) -> None:
        desk.told.append(progress)
        if progress.doing is Doing.DRAINED:
            assert desk.publish() is None
        if progress.doing is Doing.DRAINING and progress.lags["reader"]:
            desk.read_all("reader")

    growth = desk.grower(tell=late).grow(desk.topic, 6)
    assert sum(growth.barriers.values()) == 2


@pytest.mark.parametrize(
    ("topic", "partitions", "error"),
    [
        (None, 4, "multiple"),
        (None, 3, "has 3 partitions already"),
        ("no.such.topic", 6, "no topic no.such.topic"),
        ("trunkline.growth.journal", 2, "one partition for a reason"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_closed(
    desk: Desk, topic: str | None, partitions: int, error: str
) -> None:
    with pytest.raises(InvalidGrowth, match=error):
        desk.grower().grow(topic or desk.topic, partitions)
    assert desk.publish() is None


def test_a_topic_that_is_closed_by_hand_is_not_grown(desk: Desk) -> None:
    desk.admin.configure(desk.topic, {SETTING: "0"})
    with pytest.raises(InvalidGrowth, match="nobody can publish"):
        desk.grower().grow(desk.topic, 6)


def test_the_unsafe_way_adds_partitions_and_writes_no_journal(desk: Desk) -> None:
    desk.grower().grow_unsafely(desk.topic, 5)
    assert desk.partitions == 5
    assert all(growth.topic != desk.topic for growth in KnownGrowths().refreshed(desk.admin))
