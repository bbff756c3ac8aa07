"""Every ended tenant is answered with one and the same receipt, wherever a process dies."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from trunkline.catalogue.internal import ERASURE_RECEIPTS, TENANT_ENDS
from trunkline.catalogue.load import load_catalogue
from trunkline.client import failpoints
from trunkline.client.admin import ensure_topics
from trunkline.client.config import ConnectionOptions
from trunkline.client.reader import TopicReader
from trunkline.services.kit.ending import Receipt, ended
from trunkline.services.kit.ending.records import decode_receipt, encode_end
from trunkline.services.kit.ending.writing import write_records
from trunkline.testing.consuming import eventually
from trunkline.testing.processes import BrokerProcess

FAILPOINTS = ("ending.keys_counted", "ending.keys_destroyed", "ending.receipt_written")


class Crash(Exception):  # noqa: N818 - what it stands for
    """The process dies here."""


@pytest.fixture(scope="module")
def cluster(broker: BrokerProcess) -> ConnectionOptions:
    connection = ConnectionOptions(bootstrap_servers=broker.address)
    ensure_topics(connection, load_catalogue(None), "development")
    return connection


@pytest.fixture
def crash_at() -> Iterator[Callable[[str | None], None]]:
    def install(name: str | None) -> None:
        def hook(reached: str) -> None:
            if reached == name:
                raise Crash

        failpoints.install(hook if name else None)

    yield install
    failpoints.install(None)


def receipts(cluster: ConnectionOptions, tenant: str) -> list[Receipt]:
    with TopicReader(cluster, ERASURE_RECEIPTS.name) as reader:
        found = [decode_receipt(record) for record in reader.existing()]
    return [one for one in found if one is not None and one.tenant == tenant]


def test_the_key_is_destroyed_and_the_receipt_given_once(
    new_service: Any, events: Any, cluster: ConnectionOptions
) -> None:
    query, _, an_end = events
    service = new_service(connection=cluster)
    tenant = f"t-{service.store.url[:6]}"
    service.handle(query(tenant, 1), query(tenant, 2))
    sealed = service.context.keys.seal(tenant, b"ada@acme.example", place="x")
    service.ending.end(an_end(tenant))
    assert service.ending.answer() == 1
    assert service.ending.answer() == 0
    assert service.context.keys.unseal(tenant, sealed, place="x") is None
    (receipt,) = receipts(cluster, tenant)
    assert (receipt.service, receipt.rows, receipt.keys_destroyed) == ("billing-service", {"effect": 2}, 1)
    assert receipt.deletion_id == f"{tenant}-end"
    assert service.ending.counts()["answered"] == 1


@pytest.mark.parametrize("failpoint", FAILPOINTS)
def test_a_death_at_any_step_changes_nothing_about_the_receipt(
    new_service: Any, events: Any, cluster: ConnectionOptions, crash_at: Any, failpoint: str
) -> None:
    query, _, an_end = events
    service = new_service(connection=cluster)
    tenant = f"{failpoint}-{service.store.url[:6]}"
    service.handle(query(tenant, 1))
    sealed = service.context.keys.seal(tenant, b"secret", place="x")
    service.ending.end(an_end(tenant))
    crash_at(failpoint)
    with pytest.raises(Crash):
        service.ending.answer()
    crash_at(None)
    heir = new_service(connection=cluster)
    heir.ending.answer()
    assert heir.ending.counts()["answered"] == 1
    assert heir.context.keys.unseal(tenant, sealed, place="x") is None
    given = receipts(cluster, tenant)
    assert len({(one.digest, one.erased_at) for one in given}) == 1
    assert (given[0].rows, given[0].keys_destroyed) == ({"effect": 1}, 1)
    assert len(given) <= 2


def test_the_companions_hear_of_an_end_and_answer_it(
    new_service: Any, events: Any, cluster: ConnectionOptions
) -> None:
    query, _, an_end = events
    service = new_service(connection=cluster)
    before, after = (f"{name}-{service.store.url[:6]}" for name in ("before", "after"))
    service.handle(query(before, 1), query(after, 1), query("globex", 1))
    write_records(cluster, TENANT_ENDS.name, [encode_end(an_end(before)), encode_end(an_end("system"))])
    for companion in service.ending.companions:
        companion.start()
    try:
        assert service.ending.wait_current(10)
        assert service.seen() == [f"{after}-1", "globex-1"]
        write_records(cluster, TENANT_ENDS.name, [encode_end(an_end(after)), encode_end(an_end(after))])
        eventually(lambda: len(receipts(cluster, after)) == 1)
        assert service.seen() == ["globex-1"]
        assert service.ending.not_ready() == []
    finally:
        for companion in service.ending.companions:
            companion.stop()
    with service.store.read() as tx:
        assert {before, after} <= {one.tenant for one in ended(tx) if one.answered_at is not None}


def test_another_instance_forgets_the_key_that_it_has_in_memory(
    new_service: Any, events: Any, cluster: ConnectionOptions
) -> None:
    _, _, an_end = events
    one, other = new_service(connection=cluster), new_service(connection=cluster)
    sealed = other.context.keys.seal("forgotten", b"secret", place="x")
    one.ending.end(an_end("forgotten"))
    one.ending.answer()
    assert other.context.keys.unseal("forgotten", sealed, place="x") == b"secret"
    other.ending.answer()
    assert other.context.keys.unseal("forgotten", sealed, place="x") is None


def test_a_cluster_without_the_topic_does_not_hold_a_service_up(new_service: Any) -> None:
    from trunkline.testing.inprocess import BrokerThread

    with BrokerThread() as empty:
        service = new_service(connection=ConnectionOptions(bootstrap_servers=empty.address))
        for companion in service.ending.companions:
            companion.start()
        try:
            assert service.ending.wait_current(10)
            assert "no topic trunkline.tenant.ends" in service.ending.not_ready()[0]
        finally:
            for companion in service.ending.companions:
                companion.stop()
