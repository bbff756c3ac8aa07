"""What becomes of events when the code that publishes them is interrupted, and what is left after closing."""

import gc
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from trunkline.catalogue.events import Event
from trunkline.catalogue.model import Catalogue
from trunkline.client.config import ConnectionOptions, ProducerOptions
from trunkline.client.delivery import Delivered, Delivery
from trunkline.client.errors import DeliveryRejected, DeliveryUnknown, QueueFull
from trunkline.client.publisher import CLOSE_SECONDS, Publisher
from trunkline.testing.consuming import eventually

ROUNDS = 12
TENANTS = 50


@contextmanager
def interrupted(seconds: float) -> Iterator[None]:
    """As by Ctrl-C, this long from now, wherever this thread is then."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        # Once more after a while: one that comes in a destructor is only reported.
        signal.setitimer(signal.ITIMER_REAL, seconds, 2.0)
        yield
    except KeyboardInterrupt:
        pass
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def threads() -> int:
    return len(list(Path("/proc/self/task").iterdir()))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_leaves_no_event_without_an_outcome_and_the_publisher_goes_on(
    publisher: Publisher, event: Event, unique: Callable[[str], str]
) -> None:
    tenants = [unique("tenant") for _ in range(TENANTS)]
    moments = random.Random(5)
    for _ in range(ROUNDS):
        sent: list[Delivery] = []
        with interrupted(moments.uniform(0.02, 0.1)):
            for _ in range(1_000_000):
                sent.append(publisher.publish(event, tenant=tenants[len(sent) % TENANTS]))
        assert sent
        assert publisher.flush(20) == 0
        outcomes = Counter(type(delivery.outcome) for delivery in sent)
        assert outcomes.keys() <= {Delivered, DeliveryUnknown}
        unknown = [delivery for delivery in sent if not isinstance(delivery.outcome, Delivered)]
        for delivery in [publisher.publish_again(delivery) for delivery in unknown]:
            delivery.result(20)
        for delivery in unknown:
            # One that nobody has, because `publish` itself was interrupted, may hold its tenant's lane.
            publisher.give_up(delivery)
        assert publisher.publish(event, tenant=tenants[0]).result(20)


def test_what_follows_an_interrupted_event_of_its_tenant_waits_for_it(
    publisher: Publisher, event: Event, unique: Callable[[str], str]
) -> None:
    tenant = unique("tenant")
    first = publisher.publish(event, tenant=tenant)
    publisher._dispatcher._interrupted = True  # As an interrupt between two steps leaves it.
    second = publisher.publish(event, tenant=tenant)
    with pytest.raises(DeliveryUnknown, match="publishing was interrupted"):
        first.result(20)
    assert second.outcome is None
    again = publisher.publish_again(first)
    assert again.result(20).offset < second.result(20).offset


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="counts threads as Linux shows them")
def test_a_closed_publisher_leaves_no_thread_behind(
    connection: ConnectionOptions, catalogue: Catalogue, event: Event, unique: Callable[[str], str]
) -> None:
    gc.collect()
    gc.disable()
    try:
        before = threads()
        publisher = Publisher(service="query-engine", connection=connection, catalogue=catalogue)
        publisher.publish(event, tenant=unique("tenant")).result(20)
        assert threads() > before
        publisher.close()
        eventually(lambda: threads() <= before)
    finally:
        gc.enable()


def test_a_full_queue_says_so_when_it_is_full_behind_a_failure(
    connection: ConnectionOptions, catalogue: Catalogue, event: Event, unique: Callable[[str], str]
) -> None:
    tenant = unique("tenant")
    publisher = Publisher(
        service="query-engine",
        connection=connection,
        catalogue=catalogue,
        options=ProducerOptions(queue_messages_max=500),
        queue_wait_seconds=0.1,
    )
    failed = publisher.publish(event, tenant=tenant)
    publisher._dispatcher._interrupted = True  # As an interrupt between two steps leaves it.
    with pytest.raises(QueueFull, match=r"1 tenants' behind a failed one: publish that again, or give it up"):
        publish_without_end(publisher, event, tenant)
    assert publisher.give_up(failed)
    publisher.close()


def test_leaving_by_an_interrupt_does_not_wait_for_a_cluster_that_is_away(
    catalogue: Catalogue, event: Event
) -> None:
    nowhere = ConnectionOptions(bootstrap_servers="127.0.0.1:1")
    publisher = Publisher(service="query-engine", connection=nowhere, catalogue=catalogue)
    began = time.monotonic()
    delivery = publisher.publish(event, tenant="acme")
    with pytest.raises(KeyboardInterrupt), publisher:
        raise KeyboardInterrupt
    assert time.monotonic() - began < CLOSE_SECONDS / 2
    with pytest.raises(DeliveryRejected, match="closed before it was sent"):
        delivery.result(0)


def publish_without_end(publisher: Publisher, event: Event, tenant: str) -> None:
    while True:
        publisher.publish(event, tenant=tenant)
