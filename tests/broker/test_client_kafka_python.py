"""kafka-python 3, which knows every version of every API it uses."""

import uuid
from collections.abc import Callable

import kafka
from kafka.admin import KafkaAdminClient, NewTopic

from trunkline.testing.processes import BrokerProcess

MakeTopic = Callable[..., str]


def test_an_idempotent_producer_and_a_group(broker: BrokerProcess, make_topic: MakeTopic) -> None:
    topic = make_topic(3)
    producer = kafka.KafkaProducer(
        bootstrap_servers=broker.address, enable_idempotence=True, acks="all", compression_type="gzip"
    )
    sent = [
        producer.send(topic, key=b"tenant-%d" % (number % 3), value=b"%d" % number, headers=[("h", b"x")])
        for number in range(200)
    ]
    producer.flush(20)
    assert all(future.get(20).offset >= 0 for future in sent)
    consumer = kafka.KafkaConsumer(
        topic,
        bootstrap_servers=broker.address,
        group_id=f"{topic}.group",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        consumer_timeout_ms=15_000,
    )
    values: list[int] = []
    for record in consumer:
        assert record.headers == [("h", b"x")]
        values.append(int(record.value))
        if len(values) == 200:
            break
    assert sorted(values) == list(range(200))
    consumer.commit()
    committed = [consumer.committed(part) for part in sorted(consumer.assignment())]
    assert sum(offset or 0 for offset in committed) == 200
    consumer.close()
    producer.close()


def test_the_administrator_sees_topics_groups_and_configs(broker: BrokerProcess) -> None:
    admin = KafkaAdminClient(bootstrap_servers=broker.address)
    name = f"test.python.{uuid.uuid4().hex[:8]}"
    admin.create_topics([NewTopic(name=name, num_partitions=2, replication_factor=1)])
    assert name in admin.list_topics()
    described = admin.describe_topics([name])
    assert len(described[0]["partitions"]) == 2
    admin.list_groups()
    admin.delete_topics([name])
    assert name not in admin.list_topics()
    admin.close()
