"""Real Apache Kafka on this machine: 1 or 3 brokers in KRaft mode, on loopback, in one directory.

with KafkaCluster(directory, brokers=3) as cluster:
    connect_to(cluster.bootstrap_servers)
    cluster.brokers[0].kill()
    cluster.brokers[0].start()

Every node is broker and controller. Clients come through a `FaultProxy` for each broker, so that a broker can
be cut off while it runs; the brokers talk to each other directly. No broker outlives the process that started
it, however that ends.
"""

import fcntl
import random
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Final, Self

import msgspec

from trunkline.client.config import ConnectionOptions
from trunkline.errors import InvalidInput, TrunklineError, Unavailable
from trunkline.testing.kafka_config import Node, Ports, Sasl, Tls, properties, scram_users
from trunkline.testing.kafka_jars import CACHE, KafkaJars, find_kafka
from trunkline.testing.kafka_leaders import Seat, elect_preferred, prefer, view
from trunkline.testing.kafka_node import READY_SECONDS_MAX, KafkaBroker, new_id
from trunkline.testing.proxy import FaultProxy

if TYPE_CHECKING:
    from trunkline.testing.kafka_secrets import Secrets

HOST: Final = "127.0.0.1"
SIZES: Final = (1, 3)
PORTS: Final = range(20_000, 32_000)
"""Below what systems hand out to outgoing connections, so that nothing takes a stopped broker's port."""
PORT_TRIES: Final = 200
MOVE_SECONDS_MAX: Final = 20.0
MOVE_LOOK_SECONDS: Final = 0.1
NO_SETTINGS: Final[Mapping[str, str]] = MappingProxyType({})


class _Kept(msgspec.Struct, frozen=True):
    """What a directory remembers of its cluster."""

    cluster_id: str
    ports: list[tuple[int, int, int]]
    """Of each node: client, internal, controller."""


class KafkaCluster:
    """A context manager: on entry all brokers are ready, on exit all have ended and the directory stays.

    A directory that holds a cluster is used again, with its id, its data and, where free, its ports. The
    brokers are numbered from 1. `kafka_home` is an unpacked distribution; without it Maven is asked once and
    the jars are kept under `cache`. `settings` are added to every broker's. `ports` are the clients' ports,
    one for each broker; without `proxies` the brokers themselves listen there. With `tls` there are new
    certificates at each entry, and `secrets` says where.

    Raises `KafkaMissing`, `KafkaDidNotStart`, `Unavailable` for a directory or a port in use, and
    `InvalidInput` for a directory that holds a cluster of another size.
    """

    def __init__(
        self,
        directory: Path,
        *,
        brokers: int = 1,
        sasl: Sasl | None = None,
        tls: Tls | None = None,
        kafka_home: Path | None = None,
        cache: Path = CACHE,
        settings: Mapping[str, str] = NO_SETTINGS,
        ports: Sequence[int] = (),
        proxies: bool = True,
    ) -> None:
        if brokers not in SIZES:
            raise InvalidInput(f"a cluster of {brokers} brokers: only 1 or 3 can be started")
        if sasl is not None and tls is not None and tls.users:
            raise InvalidInput("a test cluster knows its users by passwords or by certificates, not by both")
        self.directory = directory
        self.brokers: Sequence[KafkaBroker] = ()
        self.cluster_id = ""
        self._size = brokers
        self._sasl = sasl
        self._tls = tls
        self._secrets: Secrets | None = None
        self._kafka_home = kafka_home
        self._cache = cache
        self._settings = settings
        self._ports = ports
        self._proxied = proxies
        self._open = ExitStack()

    @property
    def bootstrap_servers(self) -> str:
        """For clients: every broker's proxy."""
        return ",".join(broker.address for broker in self.brokers)

    @property
    def internal_servers(self) -> str:
        """For the tests themselves: past proxies, passwords and ACLs."""
        return ",".join(broker.internal_address for broker in self.brokers)

    @property
    def secrets(self) -> Path:
        """The directory of the Secrets, as Strimzi would write them; of a cluster with TLS that is open."""
        assert self._secrets is not None, "made on entry, with tls"
        return self._secrets.directory

    def connection(self, user: str | None = None, password: str | None = None) -> ConnectionOptions:
        """How a client reaches it; as `user` where it asks who that is, with its own password."""
        security = {} if self._secrets is None else self._secrets.shown_by(user)
        if self._sasl is not None and user is not None:
            security |= {
                "security.protocol": "SASL_PLAINTEXT" if self._secrets is None else "SASL_SSL",
                "sasl.mechanism": self._sasl.mechanism,
                "sasl.username": user,
                "sasl.password": self._sasl.users.get(user, "") if password is None else password,
            }
        return ConnectionOptions(bootstrap_servers=self.bootstrap_servers, security=security)

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            undo.callback(self.close)
            self._start(find_kafka(self._kafka_home, cache=self._cache))
            undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all brokers, cleanly where they run; fine when closed."""
        self._open.close()

    def seat_of(self, topic: str, partition: int) -> Seat:
        """Leader and replicas of a partition, as a running broker knows them. Raises `TrunklineError`."""
        for broker in self.brokers:
            try:
                seats = view(broker.internal_address, [topic]).seats if broker.running else {}
            except OSError:
                continue
            if (topic, partition) in seats:
                return seats[topic, partition]
        raise TrunklineError(f"no broker that answers knows partition {partition} of {topic}")

    def leader_of(self, topic: str, partition: int) -> KafkaBroker | None:
        """The broker that leads a partition; None while there is no leader. Raises `TrunklineError`."""
        leader = self.seat_of(topic, partition).leader
        return next((broker for broker in self.brokers if broker.number == leader), None)

    def move_leader(self, topic: str, partition: int, to: int) -> None:
        """Make broker number `to` the leader of a partition and wait until it is.

        Raises `InvalidInput` if it holds no replica, `TrunklineError` if it does not become the leader.
        """
        replicas = self.seat_of(topic, partition).replicas
        if to not in replicas:
            raise InvalidInput(f"broker {to} holds no replica of partition {partition} of {topic}")
        order = [to, *(number for number in replicas if number != to)]
        deadline = time.monotonic() + MOVE_SECONDS_MAX
        address = next(broker.internal_address for broker in self.brokers if broker.running)
        prefer(address, topic, partition, order)
        while True:
            seat = self.seat_of(topic, partition)
            if seat.leader == to:
                return
            if time.monotonic() > deadline:
                raise TrunklineError(f"broker {to} did not become leader of {topic} {partition}: {seat}")
            if seat.replicas[0] == to:
                elect_preferred(address, topic, partition)
            time.sleep(MOVE_LOOK_SECONDS)

    def _start(self, jars: KafkaJars) -> None:
        self._lock()
        kept = self._kept()
        self.cluster_id = kept.cluster_id
        if self._tls is not None:
            # Here, so that a cluster without certificates does without the library for them.
            from trunkline.testing.kafka_secrets import Secrets

            numbers = range(1, self._size + 1)
            self._secrets = Secrets.make(self.directory, self._tls, sasl=self._sasl, brokers=numbers)
        voters = {number: ports[2] for number, ports in enumerate(kept.ports, 1)}
        self.brokers = tuple(
            self._broker(number, Ports(client=client, internal=internal, controller=controller), voters, jars)
            for number, (client, internal, controller) in enumerate(kept.ports, 1)
        )
        self._open.callback(self._stop)
        first, *others = self.brokers
        first.format(self.cluster_id, users=scram_users(self._sasl))
        for broker in others:
            broker.format(self.cluster_id, like=first)
        for broker in self.brokers:
            broker.launch()
        everybody = {broker.number for broker in self.brokers}
        deadline = time.monotonic() + READY_SECONDS_MAX
        for broker in self.brokers:
            broker.wait_ready(everybody, seconds=max(deadline - time.monotonic(), 1.0))

    def _broker(self, number: int, ports: Ports, voters: Mapping[int, int], jars: KafkaJars) -> KafkaBroker:
        proxy = None
        if self._proxied:
            wanted = self._ports[number - 1] if self._ports else 0
            proxy = self._open.enter_context(FaultProxy(f"{HOST}:{ports.client}", port=wanted))
        node = Node(
            number=number,
            host=HOST,
            ports=ports,
            advertised=ports.client if proxy is None else proxy.port,
            data=self.directory / f"broker-{number}" / "data",
        )
        tls = None if self._secrets is None else self._secrets.listener(number)
        settings = {**properties(node, voters, self._sasl, tls=tls), **self._settings}
        return KafkaBroker(node, jars, settings=settings, proxy=proxy)

    def _stop(self) -> None:
        """All at once: a quorum whose majority has ended could not stop the rest cleanly."""
        for broker in self.brokers:
            broker.ask_to_stop()
        for broker in self.brokers:
            broker.stop()

    def _lock(self) -> None:
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            lock = self._open.enter_context((self.directory / "lock").open("w"))
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Unavailable(
                f"{self.directory} is in use by another cluster; choose another directory"
            ) from None
        except OSError as error:
            raise Unavailable(f"{self.directory} cannot hold a cluster: {error.strerror}") from error

    def _kept(self) -> _Kept:
        """The directory's cluster, or a new one; its ports are free at this moment."""
        file = self.directory / "cluster.json"
        known = msgspec.json.decode(file.read_bytes(), type=_Kept) if file.exists() else None
        if known is not None and len(known.ports) != self._size:
            raise InvalidInput(
                f"{self.directory} holds a cluster with {len(known.ports)} broker(s), not {self._size}; "
                "ask for that number or choose another directory"
            )
        before = known.ports if known is not None else [(0, 0, 0)] * self._size
        taken: set[int] = set()
        ports = [
            (self._client_port(index, client, taken), _free(internal, taken), _free(controller, taken))
            for index, (client, internal, controller) in enumerate(before)
        ]
        kept = _Kept(new_id() if known is None else known.cluster_id, ports)
        file.write_bytes(msgspec.json.encode(kept))
        return kept

    def _client_port(self, index: int, before: int, taken: set[int]) -> int:
        if self._proxied or not self._ports or not self._ports[index]:
            return _free(before, taken)
        wanted = self._ports[index]
        if not _is_free(wanted):
            raise Unavailable(f"{HOST}:{wanted} is in use; choose another port")
        taken.add(wanted)
        return wanted


def _free(wanted: int, taken: set[int]) -> int:
    """`wanted` if it is a port and free, else another one."""
    candidates = [wanted] if wanted else []
    candidates += random.sample(PORTS, PORT_TRIES)
    for port in candidates:
        if port not in taken and _is_free(port):
            taken.add(port)
            return port
    raise Unavailable(f"no free port on {HOST} between {PORTS.start} and {PORTS.stop}")


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
