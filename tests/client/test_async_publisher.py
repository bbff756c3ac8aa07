"""The asyncio front."""

import asyncio
from collections.abc import Callable

import pytest

from trunkline.catalogue.events import Event
from trunkline.catalogue.model import Catalogue
from trunkline.client.async_publisher import AsyncPublisher
from trunkline.client.config import ConnectionOptions
from trunkline.client.errors import DeliveryRejected, InvalidTenant
from trunkline.client.publisher import Publisher


def open_publisher(connection: ConnectionOptions, catalogue: Catalogue) -> Publisher:
    return Publisher(service="query-engine", connection=connection, catalogue=catalogue)


def test_a_thousand_tasks_each_get_their_own_position(
    connection: ConnectionOptions, catalogue: Catalogue, event: Event, unique: Callable[[str], str]
) -> None:
    tenant = unique("tenant")

    async def publish_all() -> list[int]:
        async with AsyncPublisher(open_publisher(connection, catalogue)) as publisher:
            sent = [publisher.publish(event, tenant=tenant) for _ in range(1_000)]
            return [delivered.offset for delivered in await asyncio.gather(*sent)]

    assert len(set(asyncio.run(publish_all()))) == 1_000


def test_what_is_refused_is_raised_where_it_is_awaited(
    connection: ConnectionOptions, catalogue: Catalogue, event: Event
) -> None:
    async def publish() -> None:
        async with AsyncPublisher(open_publisher(connection, catalogue)) as publisher:
            await publisher.publish(event, tenant="no tenant")

    with pytest.raises(InvalidTenant):
        asyncio.run(publish())


def test_a_cancelled_wait_disturbs_nobody_and_what_was_not_sent_is_rejected(
    catalogue: Catalogue, event: Event
) -> None:
    nowhere = ConnectionOptions(bootstrap_servers="127.0.0.1:1")

    async def publish() -> None:
        publisher = AsyncPublisher(open_publisher(nowhere, catalogue))
        given_up = asyncio.ensure_future(publisher.publish(event, tenant="acme"))
        kept = asyncio.ensure_future(publisher.publish(event, tenant="acme"))
        await asyncio.wait([given_up, kept], timeout=0.05)
        given_up.cancel()
        assert await publisher.flush(0.01) == 2
        await publisher.close(0.01)
        with pytest.raises(DeliveryRejected):
            await kept

    asyncio.run(publish())


def test_a_loop_that_is_gone_does_not_keep_others_from_their_outcomes(
    connection: ConnectionOptions, catalogue: Catalogue, event: Event, unique: Callable[[str], str]
) -> None:
    with open_publisher(connection, catalogue) as publisher:

        async def leave_early() -> None:
            task = asyncio.ensure_future(AsyncPublisher(publisher).publish(event, tenant=unique("tenant")))
            await asyncio.wait([task], timeout=0)

        asyncio.run(leave_early())
        assert publisher.flush(10) == 0
        assert publisher.publish(event, tenant=unique("tenant")).result(10).offset >= 0
