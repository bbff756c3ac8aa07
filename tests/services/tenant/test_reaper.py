"""What is due is deleted, and every end is announced until it stands in the topic."""

from datetime import timedelta
from typing import Any

import pytest

from trunkline.catalogue.internal import TENANT_ENDS
from trunkline.catalogue.load import load_catalogue
from trunkline.client import failpoints
from trunkline.client.admin import ensure_topics
from trunkline.client.config import ConnectionOptions
from trunkline.client.reader import TopicReader
from trunkline.services.kit.ending.records import decode_end
from trunkline.services.tenant import store
from trunkline.services.tenant.lifecycle import State
from trunkline.services.tenant.reaper import Reaper
from trunkline.testing.consuming import eventually
from trunkline.testing.inprocess import BrokerThread


@pytest.fixture
def cluster() -> Any:
    with BrokerThread() as broker:
        connection = ConnectionOptions(bootstrap_servers=broker.address)
        ensure_topics(connection, load_catalogue(None), "development")
        yield connection


def announced(cluster: ConnectionOptions) -> list[str]:
    with TopicReader(cluster, TENANT_ENDS.name) as reader:
        return [end.tenant for record in reader.existing() if (end := decode_end(record)) is not None]


def schedule(office: Any, tenant: str, *, days: int) -> None:
    office.create(tenant)
    office.do("activate", tenant, actor="ops")
    office.do("schedule_deletion", tenant, actor="ops", grace=timedelta(days=days))


def test_what_is_due_is_deleted_and_announced_and_the_rest_is_not(new_office: Any, cluster: Any) -> None:
    office = new_office(connection=cluster)
    schedule(office, "acme", days=1)
    schedule(office, "globex", days=2)
    reaper = Reaper(office.context, office.desk)
    assert reaper.reap() == 0
    office.clock.pass_(timedelta(days=1))
    assert reaper.reap() == 1
    assert office.told("acme")[-1] == "tenant.deleted.v1"
    assert (reaper.announce(), reaper.announce()) == (1, 0)
    assert announced(cluster) == ["acme"]
    with office.context.store.read() as tx:
        assert store.get(tx, "globex").state is State.PENDING_DELETION


def test_an_end_that_may_have_been_announced_is_announced_again(new_office: Any, cluster: Any) -> None:
    office = new_office(connection=cluster)
    schedule(office, "acme", days=0)

    def die(name: str) -> None:
        if name == "tenant.announced":
            raise RuntimeError(name)

    first = Reaper(office.context, office.desk)
    first.reap()
    failpoints.install(die)
    try:
        with pytest.raises(RuntimeError):
            first.announce()
    finally:
        failpoints.install(None)
    heir = Reaper(office.context, office.desk)
    assert heir.announce() == 1
    assert announced(cluster) == ["acme", "acme"]


def test_a_cluster_that_has_lost_the_ends_is_told_them_again(new_office: Any, cluster: Any) -> None:
    office = new_office(connection=cluster)
    schedule(office, "acme", days=0)
    reaper = Reaper(office.context, office.desk)
    reaper.reap()
    reaper.announce()
    assert reaper.compare() == 0
    with BrokerThread() as other:
        connection = ConnectionOptions(bootstrap_servers=other.address)
        ensure_topics(connection, load_catalogue(None), "development")
        moved = new_office(connection=connection)
        again = Reaper(moved.context, moved.desk)
        assert again.compare() == 1
        assert again.announce() == 1
        assert announced(connection) == ["acme"]


def test_it_does_so_by_itself_and_says_while_it_cannot(new_office: Any, cluster: Any) -> None:
    away = new_office()
    schedule(away, "acme", days=0)
    reaper = Reaper(away.context, away.desk)
    reaper.start()
    try:
        eventually(lambda: reaper.trouble is not None)
        assert away.told("acme")[-1] == "tenant.deleted.v1", "what is due is deleted all the same"
    finally:
        reaper.stop()
    there = new_office(connection=cluster)
    reaper = Reaper(there.context, there.desk)
    reaper.start()
    try:
        eventually(lambda: announced(cluster) == ["acme"])
        assert reaper.trouble is None
    finally:
        reaper.stop()
