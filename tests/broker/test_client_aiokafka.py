"""aiokafka, which speaks old versions and asks for the versions with ApiVersions 0."""

import asyncio
from collections.abc import Callable

import aiokafka

from trunkline.testing.processes import BrokerProcess

MakeTopic = Callable[..., str]

DEADLINE_S = 30.0


def test_an_idempotent_producer_and_a_group(broker: BrokerProcess, make_topic: MakeTopic) -> None:
    asyncio.run(asyncio.wait_for(round_trip(broker.address, make_topic(3)), DEADLINE_S))


async def round_trip(address: str, topic: str) -> None:
    """Produce, consume as a group, commit."""
    producer = aiokafka.AIOKafkaProducer(
        bootstrap_servers=address, enable_idempotence=True, compression_type="gzip"
    )
    await producer.start()
    for number in range(200):
        await producer.send(topic, key=b"%d" % (number % 5), value=b"%d" % number, headers=[("h", b"x")])
    await producer.stop()
    consumer = aiokafka.AIOKafkaConsumer(
        topic,
        bootstrap_servers=address,
        group_id=f"{topic}.group",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    await consumer.start()
    values = []
    async for record in consumer:
        values.append(int(record.value))
        if len(values) == 200:
            break
    assert sorted(values) == list(range(200))
    await consumer.commit()
    committed = [await consumer.committed(part) for part in consumer.assignment()]
    assert sum(offset or 0 for offset in committed) == 200
    await consumer.stop()
