"""What can be asked of the catalog, on both databases."""

import pytest

from trunkline.catalogue.events import model as ml
from trunkline.catalogue.events import policy as gov
from trunkline.errors import InvalidInput
from trunkline.services.catalog import changes, known, lineage, models, pending, text_index
from trunkline.services.catalog.eraser import CatalogEraser
from trunkline.services.catalog.search import Search, search
from trunkline.services.catalog.views import AssetView, Found
from trunkline.testing.catalog_desk import TENANT, Catalog, at, said

REGISTERED = ml.ModelRegistered(model="churn", actor_id="ana", owner_id="ana", description="Who will leave")
TABLE = "urn:table:sales.orders"


def version(number: int, *trained_on: str, auc: float = 0.9) -> ml.ModelVersionCreated:
    return ml.ModelVersionCreated(
        model="churn",
        version=number,
        actor_id="ana",
        source_uri=f"s3://m/{number}",
        metrics={"auc": auc},
        trained_on=trained_on,
    )


def alias(number: int) -> ml.ModelAliasSet:
    return ml.ModelAliasSet(model="churn", alias="champion", version=number, actor_id="ana")


def stage(number: int, to: ml.Stage) -> ml.ModelStageChanged:
    return ml.ModelStageChanged(
        model="churn", version=number, previous_stage="none", stage=to, actor_id="ana"
    )


def published(number: int, scope: str = TABLE) -> gov.PolicyPublished:
    return gov.PolicyPublished(
        policy_id="p",
        version=number,
        kind="access",
        mode="enforce",
        scope=scope,
        body="permit;",
        actor_id="a",
    )


def asset(catalog: Catalog, urn: str, minute: float | None = None) -> AssetView:
    with catalog.read() as tx:
        found = known.asset(tx, TENANT, urn, as_of=None if minute is None else at(minute))
    assert found is not None
    return found


def found(catalog: Catalog, wanted: Search, tenant: str = TENANT) -> list[str]:
    with catalog.read() as tx:
        return [one.urn for one in search(tx, tenant, wanted).items]


def test_an_asset_is_as_it_was_at_a_time(catalog: Catalog) -> None:
    catalog.take(said(alias(2), 20), said(REGISTERED, 0), said(alias(1), 10))
    assert asset(catalog, "urn:model:churn").facet("alias:champion").value["version"] == 2  # type: ignore[union-attr]
    assert asset(catalog, "urn:model:churn", 15).facet("alias:champion").value["version"] == 1  # type: ignore[union-attr]
    assert asset(catalog, "urn:model:churn", 5).facet("alias:champion") is None
    with catalog.read() as tx:
        assert known.asset(tx, TENANT, "urn:model:churn", as_of=at(-1)) is None


def test_an_alias_of_an_unknown_version_is_pending_until_the_version_arrives(catalog: Catalog) -> None:
    catalog.take(said(REGISTERED, 0), said(alias(1), 10))
    with catalog.read() as tx:
        assert models.resolve(tx, TENANT, "models/churn@champion").pending
        (waiting,) = pending.pending(tx, TENANT).items
    assert waiting.urn == "urn:model_version:churn/1"
    assert waiting.referred_by == ("urn:model:churn alias:champion",)
    catalog.take(said(version(1), 5))
    with catalog.read() as tx:
        assert not models.resolve(tx, TENANT, "churn@champion").pending
        assert pending.pending(tx, TENANT).items == []
        with pytest.raises(InvalidInput, match="has no alias loser; it has: champion"):
            models.resolve(tx, TENANT, "churn@loser")


def test_what_is_deleted_shows_no_more_and_its_alias_is_pending(catalog: Catalog) -> None:
    deleted = ml.ModelDeleted(model="churn", version=1, actor_id="ana")
    catalog.take(said(deleted, 30), said(alias(1), 20), said(version(1, TABLE), 10), said(REGISTERED, 0))
    assert asset(catalog, "urn:model_version:churn/1").state == "deleted"
    assert asset(catalog, "urn:model_version:churn/1", 15).state == "defined"
    assert found(catalog, Search(kind="model_version")) == []
    assert found(catalog, Search(kind="model_version", deleted=True)) == ["urn:model_version:churn/1"]
    with catalog.read() as tx:
        assert models.versions(tx, TENANT, "churn") == []
        assert models.depending_on(tx, TENANT, TABLE) == []
        assert [one.urn for one in pending.pending(tx, TENANT).items] == ["urn:model_version:churn/1"]
    # An event from before the deletion that arrives late does not bring it back; one from after it does.
    catalog.take(said(stage(1, "staging"), 25))
    assert asset(catalog, "urn:model_version:churn/1").state == "deleted"
    catalog.take(said(version(1, auc=0.5), 40))
    assert asset(catalog, "urn:model_version:churn/1").state == "defined"
    assert asset(catalog, "urn:model_version:churn/1").facet("stage") is None


def test_a_policy_marks_the_asset_that_its_newest_version_is_about(catalog: Catalog) -> None:
    elsewhere = "urn:table:hr.salary"
    activated = gov.PolicyBundleActivated(revision=1, digest="0" * 64, policies=1, members={"p": 2})
    # The versions count, not the times.
    catalog.take(said(published(2, elsewhere), 1), said(published(1), 5), said(activated, 6))
    assert asset(catalog, TABLE).badges == ()
    (badge,) = asset(catalog, elsewhere).badges
    assert (badge.kind, badge.name, badge.mode, badge.in_force) == ("policy", "p", "enforce", True)
    catalog.take(said(gov.PolicyRevoked(policy_id="p", version=1, actor_id="a"), 0))
    assert asset(catalog, elsewhere).badges
    catalog.take(said(gov.PolicyRevoked(policy_id="p", version=2, actor_id="a"), 7))
    assert asset(catalog, elsewhere).badges == ()
    assert asset(catalog, elsewhere, 6.5).badges


def test_a_quarantine_shows_until_it_is_released_also_in_the_same_moment(catalog: Catalog) -> None:
    quarantined = gov.AssetQuarantined(asset=TABLE, decision_id="d-1", reason="bad", actor_id="gov")
    released = gov.AssetReleased(
        asset=TABLE, decision_id="d-2", reason="good", actor_id="gov", quarantine_id="d-1"
    )
    catalog.take(said(quarantined, 1, id="z"))
    assert found(catalog, Search(quarantined=True)) == [TABLE]
    (badge,) = asset(catalog, TABLE).badges
    assert (badge.kind, badge.name) == ("quarantine", "d-1")
    catalog.take(said(released, 1, id="a"))
    assert found(catalog, Search(quarantined=True)) == []
    assert asset(catalog, TABLE).badges == ()


def test_a_kind_is_one_that_there_is(catalog: Catalog) -> None:
    assert found(catalog, Search(kind="policy")) == []
    lake = "urn:dataset:s3://lake/raw"
    catalog.take(said(gov.AssetQuarantined(asset=lake, decision_id="d", reason="bad", actor_id="gov"), 1))
    assert found(catalog, Search(kind="dataset")) == [lake]
    with pytest.raises(InvalidInput, match=r"'modl': .* use one of table, .*, policy, dataset"):
        found(catalog, Search(kind="modl"))
    with pytest.raises(InvalidInput, match="'dataset': there is no asset of it"):
        found(catalog, Search(kind="dataset"), tenant="globex")


def test_assets_are_found_by_words_and_by_what_is_known_of_them(catalog: Catalog) -> None:
    tagged = ml.ModelTagSet(model="churn", version=1, key="reviewed", value="Käufer", actor_id="ana")
    deployed = ml.ModelDeployed(model="churn", version=1, endpoint="eu", actor_id="ana")
    catalog.take(
        said(REGISTERED, 0),
        said(version(1, TABLE), 1),
        said(tagged, 2),
        said(deployed, 3),
        said(stage(1, "staging"), 4),
    )
    one = ["urn:model_version:churn/1"]
    assert found(catalog, Search(text="kaufer")) == one
    assert found(catalog, Search(text="will leav*")) == ["urn:model:churn"]
    assert found(catalog, Search(text="sales orders", kind="table")) == [TABLE]
    assert found(catalog, Search(tag="reviewed")) == found(catalog, Search(tag="reviewed=Käufer")) == one
    assert found(catalog, Search(tag="reviewed=no")) == []
    assert found(catalog, Search(stage="staging", endpoint="eu")) == one
    assert found(catalog, Search(owner="ana")) == ["urn:model:churn"]
    assert found(catalog, Search(prefix="urn:model")) == ["urn:model:churn", *one]
    assert found(catalog, Search(text="kaufer"), tenant="globex") == []
    with pytest.raises(InvalidInput, match="no word"):
        found(catalog, Search(text="--"))
    with catalog.store.write() as tx:
        assert text_index.rebuild(tx) == 3
    assert found(catalog, Search(text="kaufer")) == one


def test_pages_go_on_where_the_last_one_ended(catalog: Catalog) -> None:
    catalog.take(*(said(version(number), number) for number in range(1, 8)))
    seen: list[Found] = []
    after = None
    with catalog.read() as tx:
        while True:
            page = search(tx, TENANT, Search(kind="model_version"), limit=3, after=after)
            seen += page.items
            after = page.next
            if after is None:
                break
        assert [one.urn for one in seen] == [f"urn:model_version:churn/{number}" for number in range(1, 8)]
        with pytest.raises(InvalidInput, match="cursor"):
            search(tx, TENANT, Search(), after="%%%")


def test_history_tells_everything_and_the_feed_everything_in_the_order_of_arrival(catalog: Catalog) -> None:
    removed = ml.ModelAliasRemoved(model="churn", alias="champion", actor_id="ben")
    catalog.take(said(removed, 30))
    catalog.take(said(alias(1), 10), said(alias(2), 20))
    with catalog.read() as tx:
        page = changes.history(tx, TENANT, "urn:model:churn", limit=2)
        assert [(one.removed, one.time) for one in page.items] == [(True, at(30)), (False, at(20))]
        assert page.items[0].value == {"actor_id": "ben"}
        rest = changes.history(tx, TENANT, "urn:model:churn", limit=2, after=page.next)
        assert [one.time for one in rest.items] == [at(10)]
        first = changes.feed(tx, TENANT, limit=1)
        assert first.items[0].removed
    catalog.take(said(alias(3), 5))
    with catalog.read() as tx:
        following = changes.feed(tx, TENANT, after=first.cursor)
        assert [one.value["version"] for one in following.items] == [1, 2, 3]
        assert changes.feed(tx, TENANT, after=following.cursor).items == ()


def test_two_versions_and_two_times_are_compared(catalog: Catalog) -> None:
    catalog.take(said(version(1, auc=0.8), 1), said(version(2, auc=0.9), 2), said(stage(2, "staging"), 3))
    with catalog.read() as tx:
        found = changes.diff(tx, TENANT, "urn:model_version:churn/1", "urn:model_version:churn/2")
        assert [one.facet for one in found] == ["metrics", "stage", "version"]
        assert (found[0].left, found[0].right) == ({"auc": 0.8}, {"auc": 0.9})
        urn = "urn:model_version:churn/2"
        (only,) = changes.diff(tx, TENANT, urn, urn, left_at=at(2))
        assert (only.facet, only.left) == ("stage", None)
        with pytest.raises(InvalidInput, match="no such asset is known"):
            changes.diff(tx, TENANT, urn, "urn:model:none")


def test_lineage_goes_up_and_down_to_a_depth(catalog: Catalog) -> None:
    classified = gov.ClassificationChanged(
        asset="urn:column:sales.orders.phone", classification="personal", actor_id="a"
    )
    catalog.take(said(version(1, TABLE), 1), said(classified, 2), said(REGISTERED, 3), said(alias(1), 4))
    with catalog.read() as tx:
        down = lineage.lineage(tx, TENANT, "urn:column:sales.orders.phone", direction="down")
        assert [(node.urn, node.depth) for node in down.nodes] == [
            ("urn:column:sales.orders.phone", 0),
            (TABLE, 1),
            ("urn:model_version:churn/1", 2),
            ("urn:model:churn", 3),
        ]
        near = lineage.lineage(tx, TENANT, "urn:model:churn", direction="up", depth=2)
        assert [node.urn for node in near.nodes] == ["urn:model:churn", "urn:model_version:churn/1", TABLE]
        (dependent,) = models.depending_on(tx, TENANT, "SALES.orders")
        assert (dependent.model, dependent.version, dependent.aliases) == ("churn", 1, ("champion",))
        with pytest.raises(InvalidInput, match="1 to 20 steps"):
            lineage.lineage(tx, TENANT, TABLE, direction="up", depth=0)


def test_what_was_rejected_is_listed(catalog: Catalog) -> None:
    catalog.take(said(version(1, "urn:bad", TABLE), 1))
    with catalog.read() as tx:
        (rejected,) = pending.rejected(tx, TENANT).items
        assert (rejected.urn, rejected.facet) == ("urn:model_version:churn/1", "trained_on:urn:bad")
        assert [one.version for one in models.depending_on(tx, TENANT, TABLE)] == [1]


def test_erasing_a_tenant_leaves_nothing_of_it_and_everything_of_others(catalog: Catalog) -> None:
    catalog.take(said(version(1, "urn:bad", TABLE), 1))
    alone = catalog.digest()
    catalog.take(said(version(1, "urn:bad", TABLE), 1, tenant="globex"))
    with catalog.store.write() as tx:
        erased = CatalogEraser().erase(tx, "globex")
    assert erased == {
        "catalog_text": 3,
        "catalog_change": 3,
        "catalog_facet": 3,
        "catalog_edge": 2,
        "catalog_rejected": 1,
        "catalog_asset": 3,
    }
    assert catalog.digest() == alone
    assert found(catalog, Search(text="churn"), tenant="globex") == []
    assert found(catalog, Search(text="sales", kind="table")) == [TABLE]
