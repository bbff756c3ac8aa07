"""Models and versions: names, numbers without gaps, idempotency keys, deletion."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest

from trunkline.client.errors import InvalidEvent
from trunkline.errors import InvalidInput
from trunkline.services.app import Context
from trunkline.services.kit.ending import TenantEnded
from trunkline.services.kit.ending.ends import Erasure, end_tenant
from trunkline.services.kit.ending.records import End
from trunkline.services.ml import naming, registering, rows, serving
from trunkline.services.ml.eraser import RegistryEraser
from trunkline.services.ml.rules import NotRegistered, Refused
from trunkline.services.ml.state import state_digest
from trunkline.services.ml.work import Work

Acting = Callable[..., AbstractContextManager[Work]]
Published = Callable[[], list[Any]]


def version(work: Work, key: str | None = None, source: str = "s3://m") -> int:
    made = registering.create_version(work, "churn", source_uri=source, trained_on=["Sales.Orders"], key=key)
    return made.version


def test_versions_are_numbered_from_one_without_gaps_and_never_again(acting: Acting) -> None:
    with acting() as work:
        registering.register(work, "churn", owner="ana")
        assert [version(work) for _ in range(3)] == [1, 2, 3]
    with acting() as work:
        registering.delete_version(work, "churn", 3)
        registering.delete_version(work, "churn", 1)
        assert version(work) == 4
    with acting() as work:
        for number in (2, 4):
            registering.delete_version(work, "churn", number)
        registering.delete_model(work, "churn")
        assert rows.models(work.tx, "acme").items == []
        registering.register(work, "churn")
        assert version(work) == 5


def test_a_refused_change_publishes_nothing_and_leaves_no_gap(acting: Acting, published: Published) -> None:
    with acting() as work:
        registering.register(work, "churn")
    with pytest.raises(InvalidEvent), acting() as work:
        version(work, source="x" * 3_000)
    assert len(published()) == 1
    with acting() as work:
        assert version(work) == 1


def test_a_name_is_taken_once_in_a_tenant(acting: Acting) -> None:
    for tenant in ("acme", "globex"):
        with acting(tenant=tenant) as work:
            registering.register(work, "churn")
    with pytest.raises(Refused, match="there is a model 'churn' already"), acting() as work:
        registering.register(work, "churn")


@pytest.mark.parametrize("name", ["", "a/b", "a@b", " a", "a\0b", "a\n"])
def test_a_name_that_could_not_be_written_is_refused(acting: Acting, name: str) -> None:
    with pytest.raises(InvalidInput, match="use letters"), acting() as work:
        registering.register(work, name)


def test_the_same_request_with_the_same_key_has_one_effect(acting: Acting, published: Published) -> None:
    for _ in range(2):
        with acting() as work:
            assert registering.register(work, "churn", owner="ana", key="k-1").owner_id == "ana"
    for _ in range(2):
        with acting() as work:
            assert version(work, key="k-2") == 1
    assert len(published()) == 2
    with pytest.raises(Refused, match="was used for another request"), acting() as work:
        version(work, key="k-2", source="s3://other")
    with pytest.raises(Refused, match="was used for another request"), acting() as work:
        registering.register(work, "churn", key="k-2")


def test_what_is_in_use_is_not_deleted(acting: Acting) -> None:
    with acting() as work:
        registering.register(work, "churn")
        version(work)
        naming.set_alias(work, "churn", "champion", 1)
        serving.change_stage(work, "churn", 1, "development")
        serving.deploy(work, "churn", 1, endpoint="eu")
    with pytest.raises(Refused, match="has version 1; delete its versions first"), acting() as work:
        registering.delete_model(work, "churn")
    with pytest.raises(Refused, match="deployed at eu; undeploy it first"), acting() as work:
        registering.delete_version(work, "churn", 1)
    with acting() as work:
        serving.undeploy(work, "churn", 1, endpoint="eu")
    with pytest.raises(Refused, match="is champion; move or remove the alias"), acting() as work:
        registering.delete_version(work, "churn", 1)


def test_events_of_a_model_are_in_order_of_time_though_the_clock_stands_still(
    acting: Acting, published: Published
) -> None:
    with acting() as work:
        registering.register(work, "churn")
        for _ in range(5):
            version(work)
    times = [datetime.fromisoformat(row.time) for row in published()]
    assert all(before < after for before, after in pairwise(times))
    assert times[0] == datetime(2026, 5, 6, 7, 8, 9, tzinfo=UTC)


@pytest.mark.parametrize("number", [0, -1, 2**70, 9])
def test_a_version_that_cannot_be_is_said_to_be_missing(acting: Acting, number: int) -> None:
    with acting() as work:
        registering.register(work, "churn")
    with pytest.raises(InvalidInput, match=r"version"), acting() as work:
        naming.set_alias(work, "churn", "champion", number)
    with pytest.raises(NotRegistered, match="no model 'fraud'"), acting() as work:
        naming.set_alias(work, "fraud", "champion", 1)


def test_nothing_is_registered_for_a_tenant_that_has_ended(acting: Acting, context: Context) -> None:
    for tenant in ("acme", "globex"):
        with acting(tenant=tenant) as work:
            registering.register(work, "churn", key="k")
            version(work)
            naming.set_tag(work, "churn", "k", "v")
    with context.store.write() as tx:
        end = End(tenant="globex", deletion_id="d", deleted_at=context.wall())
        erasure = Erasure(store=context.store, eraser=RegistryEraser(), publishes=True)
        end_tenant(tx, end, erasure, now=context.wall())
        assert rows.models(tx, "globex").items == []
        assert len(rows.models(tx, "acme").items) == 1
        after_the_end = state_digest(tx)
    with pytest.raises(TenantEnded), acting(tenant="globex") as work:
        registering.register(work, "churn")
    with context.store.read() as tx:
        assert state_digest(tx) == after_the_end
