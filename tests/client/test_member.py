"""One member of a group: its protocol, its instance id, and a client that died."""

import threading
from collections.abc import Callable

import pytest

from trunkline.catalogue.events import Event
from trunkline.client.config import ConnectionOptions, ConsumerOptions, GroupProtocol
from trunkline.client.errors import KafkaFailed
from trunkline.client.publisher import Publisher
from trunkline.client.runtime import ConsumerRuntime
from trunkline.client.store import Store
from trunkline.testing.consuming import CountingHandler, effects, eventually, running

TOPIC = "query.execution.events"

Join = Callable[[ConsumerOptions], ConsumerRuntime]


@pytest.fixture
def join(connection: ConnectionOptions, store: Store) -> Join:
    def build(options: ConsumerOptions) -> ConsumerRuntime:
        return ConsumerRuntime(
            service="audit-service",
            topics=[TOPIC],
            handler=CountingHandler(store),
            store=store,
            connection=connection,
            options=options,
            # Other tests leave records on the shared topic that are no events.
            failures_in_a_row_max=0,
        )

    return build


@pytest.fixture
def only_kafka(engine: ConnectionOptions, request: pytest.FixtureRequest) -> None:
    """For what the embedded broker does not have."""
    if request.node.callspec.params["engine"] == "embedded":
        pytest.skip("the embedded broker has no KIP-848 groups")


@pytest.mark.usefixtures("only_kafka")
def test_members_of_the_brokers_protocol_share_and_hand_over_without_loss_or_repetition(
    join: Join, publisher: Publisher, event: Event, *, store: Store, unique: Callable[[str], str]
) -> None:
    options = ConsumerOptions(group=unique("kip848"), protocol=GroupProtocol.CONSUMER)
    tenants = [unique("tenant") for _ in range(9)]
    sent: dict[str, list[str]] = {tenant: [] for tenant in tenants}

    def publish() -> None:
        for tenant in tenants:
            for _ in range(4):
                sent[tenant].append(publisher.publish(event, tenant=tenant).event_id)

    def applied() -> bool:
        return all(
            [effect.event_id for effect in effects(store, tenant=tenant)] == sent[tenant]
            for tenant in tenants
        )

    with running(join(options)) as one:
        publish()
        eventually(applied)
        with running(join(options)) as two:
            publish()
            eventually(lambda: bool(one.assignment) and bool(two.assignment))
            assert not one.assignment & two.assignment
            publish()
            eventually(applied)
            eventually(lambda: one.not_ready() == two.not_ready() == [])
        publish()
        eventually(applied)


@pytest.mark.slow
def test_two_members_of_one_instance_id_end_with_one_of_them_and_a_clear_error(
    join: Join, unique: Callable[[str], str]
) -> None:
    options = ConsumerOptions(group=unique("static"), instance_id="pod-0", session_timeout_ms=30_000)
    errors: list[KafkaFailed] = []

    def run(runtime: ConsumerRuntime) -> None:
        try:
            runtime.run()
        except KafkaFailed as error:
            errors.append(error)

    first, second = join(options), join(options)
    threads = [threading.Thread(target=run, args=(runtime,)) for runtime in (first, second)]
    threads[0].start()
    try:
        assert first.wait_started(20)
        threads[1].start()
        # Each that is fenced builds its client anew once, which fences the other; the second time it ends.
        eventually(lambda: bool(errors), seconds=60)
        assert "instance id pod-0 is in use" in str(errors[0])
        assert "--instance-id" in str(errors[0])
    finally:
        first.stop()
        second.stop()
        for thread in threads:
            thread.join()


@pytest.mark.usefixtures("only_kafka")
def test_with_the_brokers_protocol_a_second_member_of_one_instance_id_ends_and_the_first_goes_on(
    join: Join, publisher: Publisher, event: Event, *, store: Store, unique: Callable[[str], str]
) -> None:
    options = ConsumerOptions(group=unique("static848"), instance_id="pod-0", protocol=GroupProtocol.CONSUMER)
    tenant = unique("tenant")
    with running(join(options)) as first:
        with pytest.raises(
            KafkaFailed, match=r"instance id pod-0 is in use.*--instance-id.*session\.timeout"
        ):
            join(options).run()
        publisher.publish(event, tenant=tenant).result(10)
        eventually(lambda: len(effects(store, tenant=tenant)) == 1)
        assert first.not_ready() == []
