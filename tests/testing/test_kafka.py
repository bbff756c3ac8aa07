"""Real Kafka brokers, and everything that can be done to them."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from trunkline.client.admin import check_reachable
from trunkline.client.config import ConnectionOptions, admin_config
from trunkline.client.errors import ClusterUnavailable
from trunkline.client.kafka import Admin
from trunkline.client.kafka import admin as adapter
from trunkline.errors import InvalidInput, TrunklineError, Unavailable
from trunkline.testing.certificates import Authority
from trunkline.testing.consuming import eventually
from trunkline.testing.kafka import KafkaCluster
from trunkline.testing.kafka_config import Sasl, Tls
from trunkline.testing.kafka_leaders import view
from trunkline.testing.kafka_node import KafkaDidNotStart

pytestmark = pytest.mark.kafka

Factory = Callable[..., KafkaCluster]
TOPIC = "leaders"
SASL = "CLIENT:SASL_PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT"

OWNER = """
import sys, time
from pathlib import Path
from trunkline.testing.certificates import Authority
from trunkline.testing.kafka import KafkaCluster
with KafkaCluster(Path(sys.argv[1]), kafka_home=Path(sys.argv[2]) if sys.argv[2:] else None) as cluster:
    print(cluster.brokers[0].pid, flush=True)
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory, kafka_home: Path | None) -> Iterator[KafkaCluster]:
    """Three brokers and a topic with a replica on each."""
    with KafkaCluster(tmp_path_factory.mktemp("three"), brokers=3, kafka_home=kafka_home) as cluster:
        Admin(admin_config(cluster.connection())).create(TOPIC, partitions=1, replication_factor=3, config={})
        yield cluster


def in_sync(cluster: KafkaCluster) -> bool:
    return len(cluster.seat_of(TOPIC, 0).in_sync) == 3


def test_a_leader_can_be_moved_and_after_a_kill_another_one_leads(three: KafkaCluster) -> None:
    eventually(lambda: in_sync(three))
    for broker in three.brokers:
        three.move_leader(TOPIC, 0, broker.number)
        assert three.leader_of(TOPIC, 0) is broker
    victim = three.brokers[2]
    victim.kill()
    assert not victim.running
    eventually(lambda: three.leader_of(TOPIC, 0) not in {victim, None})
    victim.start()
    eventually(lambda: in_sync(three))


def test_a_broker_that_stops_cleanly_hands_over_and_comes_back(three: KafkaCluster) -> None:
    eventually(lambda: in_sync(three))
    broker = three.brokers[0]
    three.move_leader(TOPIC, 0, 1)
    broker.stop()
    assert three.leader_of(TOPIC, 0) not in {broker, None}
    broker.restart()
    eventually(lambda: in_sync(three))


def test_a_frozen_broker_is_replaced_and_joins_again(three: KafkaCluster) -> None:
    eventually(lambda: in_sync(three))
    three.move_leader(TOPIC, 0, 2)
    frozen = three.brokers[1]
    frozen.pause()
    others = three.brokers[0].internal_address
    eventually(lambda: view(others, [TOPIC]).seats[TOPIC, 0].leader in {1, 3})
    frozen.resume()
    eventually(lambda: in_sync(three))


def test_a_leader_needs_a_replica_and_a_partition(three: KafkaCluster) -> None:
    with pytest.raises(InvalidInput, match=f"broker 4 holds no replica of partition 0 of {TOPIC}"):
        three.move_leader(TOPIC, 0, 4)
    with pytest.raises(TrunklineError, match="no broker that answers knows partition 0 of nowhere"):
        three.leader_of("nowhere", 0)


def test_clients_can_be_cut_off_while_the_broker_lives(
    kafka_cluster: KafkaCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "REPLY_SECONDS", 1.0)
    (broker,) = kafka_cluster.brokers
    inside = ConnectionOptions(bootstrap_servers=kafka_cluster.internal_servers)
    for silently in (False, True):
        broker.cut(silently=silently)
        try:
            with pytest.raises(ClusterUnavailable):
                check_reachable(kafka_cluster.connection())
            assert check_reachable(inside) == kafka_cluster.cluster_id
        finally:
            broker.mend()
        assert check_reachable(kafka_cluster.connection()) == kafka_cluster.cluster_id


def test_only_users_with_the_right_password_come_in(
    kafka_factory: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = kafka_factory(sasl=Sasl(users={"admin": "secret", "guest": "guest"}))
    admin = Admin(admin_config(cluster.connection("admin")))
    admin.create(TOPIC, partitions=1, replication_factor=1, config={})
    assert set(admin.cluster().partitions) == {(TOPIC, 0)}
    guest = Admin(admin_config(cluster.connection("guest")))
    assert set(guest.cluster().partitions) == set()
    monkeypatch.setattr(adapter, "REPLY_SECONDS", 3.0)
    with pytest.raises(TrunklineError):
        check_reachable(cluster.connection("guest", "wrong"))


def test_only_users_whose_certificate_the_cluster_gave_come_in(
    kafka_factory: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = kafka_factory(tls=Tls(users=("admin", "guest"), superusers=("admin",)))
    Admin(admin_config(cluster.connection("admin"))).create(
        TOPIC, partitions=1, replication_factor=1, config={}
    )
    assert set(Admin(admin_config(cluster.connection("guest"))).cluster().partitions) == set()
    monkeypatch.setattr(adapter, "REPLY_SECONDS", 3.0)
    stranger = Authority.make("clients-ca").issue("admin")
    (cluster.secrets / "guest/user.crt").write_bytes(stranger.certificate)
    (cluster.secrets / "guest/user.key").write_bytes(stranger.key)
    for user in ("guest", None):
        with pytest.raises(TrunklineError, match="refuses this client"):
            check_reachable(cluster.connection(user))


def test_passwords_may_go_over_tls(kafka_factory: Factory) -> None:
    cluster = kafka_factory(sasl=Sasl(mechanism="SCRAM-SHA-512"), tls=Tls())
    assert (cluster.secrets / "admin/password").read_text() == "admin-secret"
    assert check_reachable(cluster.connection("admin")) == cluster.cluster_id


def test_users_are_known_by_passwords_or_by_certificates(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="not by both"):
        KafkaCluster(tmp_path, sasl=Sasl(), tls=Tls(users=("guest",)))


def test_a_directory_keeps_its_cluster_and_takes_one_at_a_time(
    tmp_path: Path, kafka_home: Path | None
) -> None:
    with KafkaCluster(tmp_path, kafka_home=kafka_home) as first:
        Admin(admin_config(first.connection())).create(TOPIC, partitions=2, replication_factor=1, config={})
        with pytest.raises(Unavailable, match="in use"), KafkaCluster(tmp_path, kafka_home=kafka_home):
            pass
    with KafkaCluster(tmp_path, kafka_home=kafka_home) as second:
        assert second.cluster_id == first.cluster_id
        assert second.internal_servers == first.internal_servers
        assert second.leader_of(TOPIC, 1) is second.brokers[0]
    other = KafkaCluster(tmp_path, brokers=3, kafka_home=kafka_home)
    with pytest.raises(InvalidInput, match=r"holds a cluster with 1 broker\(s\), not 3"), other:
        pass


@pytest.mark.parametrize(
    ("setting", "value"), [("log.retention.check.interval.ms", "-1"), ("sasl.enabled.mechanisms", "NONE")]
)
def test_a_broker_that_cannot_start_says_why_in_one_line(
    tmp_path: Path, kafka_home: Path | None, setting: str, value: str
) -> None:
    settings = (
        {setting: value, "listener.security.protocol.map": SASL} if value == "NONE" else {setting: value}
    )
    wrong = KafkaCluster(tmp_path, kafka_home=kafka_home, settings=settings)
    with pytest.raises(KafkaDidNotStart, match=setting if value == "-1" else "ended") as refused, wrong:
        pass
    assert "\n" not in str(refused.value)


def test_two_brokers_are_not_a_size(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="only 1 or 3"):
        KafkaCluster(tmp_path, brokers=2)


def test_no_broker_outlives_an_owner_that_is_killed(tmp_path: Path, kafka_home: Path | None) -> None:
    home = [] if kafka_home is None else [str(kafka_home)]
    command = [sys.executable, "-c", OWNER, str(tmp_path), *home]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        broker = psutil.Process(json.loads(owner.stdout.readline()))
        broker.suspend()
        owner.kill()
        eventually(lambda: not broker.is_running() or broker.status() == psutil.STATUS_ZOMBIE)
