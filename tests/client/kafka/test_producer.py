"""Producer and publisher against librdkafka's own mock cluster, which injects what no broker would."""

import contextlib
import ctypes
import io
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import confluent_kafka
import pytest
import structlog

from trunkline.catalogue.events import Event
from trunkline.catalogue.model import Catalogue
from trunkline.client.config import ConnectionOptions, ProducerOptions, producer_config
from trunkline.client.delivery import Delivered, Delivery
from trunkline.client.errors import DeliveryRejected, DeliveryUnknown, KafkaFatal
from trunkline.client.kafka import Producer
from trunkline.client.publisher import Publisher
from trunkline.codec import Encoded
from trunkline.errors import InvalidInput
from trunkline.testing.consuming import eventually

PRODUCE = 0
OUT_OF_ORDER_SEQUENCE_NUMBER = 45
INVALID_RECORD = 87
UNKNOWN_SERVER_ERROR = -1
EVENT = Encoded(b"acme", b"{}", [("ce_id", b"1")])


class MockCluster:
    """One mock broker inside librdkafka, shared by all clients that connect to its port."""

    def __init__(self) -> None:
        (path,) = (Path(confluent_kafka.__file__).parent.parent / "confluent_kafka.libs").glob("librdkafka-*")
        self._lib = ctypes.CDLL(str(path))
        for name in ("rd_kafka_conf_new", "rd_kafka_new", "rd_kafka_mock_cluster_new"):
            getattr(self._lib, name).restype = ctypes.c_void_p
        self._lib.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
        error = ctypes.create_string_buffer(512)
        conf = ctypes.c_void_p(self._lib.rd_kafka_conf_new())
        self._handle = ctypes.c_void_p(self._lib.rd_kafka_new(0, conf, error, 512))
        assert self._handle, error.value
        self._cluster = ctypes.c_void_p(self._lib.rd_kafka_mock_cluster_new(self._handle, 1))
        self.address = self._lib.rd_kafka_mock_cluster_bootstraps(self._cluster).decode()

    def fail(self, api_key: int, *codes: int) -> None:
        """Answer the next requests of this kind with these errors, one each."""
        self._lib.rd_kafka_mock_push_request_errors_array(
            self._cluster,
            ctypes.c_int16(api_key),
            ctypes.c_size_t(len(codes)),
            (ctypes.c_int * len(codes))(*codes),
        )

    def close(self) -> None:
        self._lib.rd_kafka_mock_cluster_destroy(self._cluster)
        self._lib.rd_kafka_destroy(self._handle)


pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="the library's file is found as in Linux wheels"
)


@pytest.fixture
def mock() -> Iterator[MockCluster]:
    cluster = MockCluster()
    yield cluster
    cluster.close()


@pytest.fixture
def publisher(mock: MockCluster, catalogue: Catalogue) -> Iterator[Publisher]:
    connection = ConnectionOptions(bootstrap_servers=mock.address)
    with Publisher(service="query-engine", connection=connection, catalogue=catalogue) as opened:
        yield opened


def test_a_fatal_error_comes_out_of_poll_as_one_and_drain_resolves_the_rest(mock: MockCluster) -> None:
    connection = ConnectionOptions(bootstrap_servers=mock.address)
    producer: Producer[int] = Producer({**producer_config(connection, ProducerOptions()), "linger.ms": 0})
    producer.send("t", EVENT, 0)
    while not producer.poll(10):
        pass
    mock.fail(PRODUCE, OUT_OF_ORDER_SEQUENCE_NUMBER)
    producer.send("t", EVENT, 1)

    def poll() -> None:
        while True:
            producer.poll(0.1)

    with pytest.raises(KafkaFatal):
        poll()
    with pytest.raises(KafkaFatal):
        producer.send("t", EVENT, 2)
    assert [report.token for report in producer.drain() if not report.lost] == [1]


def test_after_a_fatal_error_the_publisher_goes_on_with_a_new_producer(
    mock: MockCluster, publisher: Publisher, event: Event
) -> None:
    assert isinstance(publisher.publish(event, tenant="acme").result(10), Delivered)
    mock.fail(PRODUCE, OUT_OF_ORDER_SEQUENCE_NUMBER)
    doubtful = publisher.publish(event, tenant="acme")
    with pytest.raises(DeliveryUnknown):
        doubtful.result(20)
    later = publisher.publish(event, tenant="acme")
    assert isinstance(publisher.publish(event, tenant="another").result(20), Delivered)
    assert later.outcome is None
    again = publisher.publish_again(doubtful)
    assert again.event_id == doubtful.event_id
    assert again.result(20).offset < later.result(20).offset
    eventually(lambda: publisher.flush(0) == 0)


def test_a_log_that_cannot_be_written_leaves_no_delivery_open(
    mock: MockCluster, publisher: Publisher, event: Event
) -> None:
    closed = io.StringIO()
    closed.close()
    structlog.configure(logger_factory=structlog.WriteLoggerFactory(file=closed))
    try:
        publisher.publish(event, tenant="acme").result(10)
        mock.fail(PRODUCE, OUT_OF_ORDER_SEQUENCE_NUMBER)
        doubtful = publisher.publish(event, tenant="acme")
        with pytest.raises(DeliveryUnknown):
            doubtful.result(20)
        assert publisher.give_up(doubtful)
        assert isinstance(publisher.publish(event, tenant="acme").result(20), Delivered)
    finally:
        structlog.reset_defaults()


def test_many_fatal_errors_under_load_leave_no_delivery_open(
    mock: MockCluster, publisher: Publisher, event: Event, unique: Callable[[str], str]
) -> None:
    sent: list[Delivery] = []

    def publish() -> None:
        sent.extend(publisher.publish(event, tenant=unique("tenant")) for _ in range(300))

    for _ in range(4):
        # A producer that has sent nothing yet takes half a second to begin. The error of the round before may
        # have met nobody in it, and then meets this one.
        with contextlib.suppress(DeliveryUnknown):
            publisher.publish(event, tenant=unique("tenant")).result(20)
        threads = [threading.Thread(target=publish) for _ in range(3)]
        for thread in threads:
            thread.start()
        mock.fail(PRODUCE, OUT_OF_ORDER_SEQUENCE_NUMBER)
        for thread in threads:
            thread.join()
        assert publisher.flush(30) == 0
    assert len(sent) == 3_600
    assert DeliveryUnknown in {type(delivery.outcome) for delivery in sent}
    assert all(delivery.outcome is not None for delivery in sent)


def test_an_error_that_rejects_for_good_says_that_the_event_is_not_in_the_log(
    mock: MockCluster, publisher: Publisher, event: Event
) -> None:
    mock.fail(PRODUCE, INVALID_RECORD)
    with pytest.raises(DeliveryRejected, match="it is not in the log") as rejected:
        publisher.publish(event, tenant="acme").result(20)
    assert rejected.value.code == "INVALID_RECORD"


def test_an_error_that_says_nothing_leaves_the_outcome_unknown(
    mock: MockCluster, publisher: Publisher, event: Event
) -> None:
    mock.fail(PRODUCE, UNKNOWN_SERVER_ERROR)
    with pytest.raises(DeliveryUnknown, match="same id"):
        publisher.publish(event, tenant="acme").result(20)


def test_settings_that_the_library_refuses_name_what_to_correct(
    event: Event, catalogue: Catalogue, tmp_path: Path
) -> None:
    refused = ConnectionOptions(
        bootstrap_servers="127.0.0.1:1",
        security={"security.protocol": "SSL", "ssl.ca.location": str(tmp_path / "none.pem")},
    )
    with pytest.raises(InvalidInput, match=r"correct security\.protocol, sasl\.\* or ssl\.\*"):
        Publisher(service="query-engine", connection=refused, catalogue=catalogue)
