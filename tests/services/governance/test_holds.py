"""A person's word holds against the checks until it ends, and then they count again."""

from datetime import timedelta

import pytest

from trunkline.errors import InvalidInput
from trunkline.services.governance import asset_queries
from trunkline.services.governance.holds import Held, end_override, hold
from trunkline.testing.governance_desk import ORDERS, TENANT, Governance, failed, passed


def mode(governance: Governance) -> str | None:
    found: str | None = governance.read(lambda tx: asset_queries.asset(tx, TENANT, ORDERS)).mode
    return found


def ended(governance: Governance) -> Held:
    with governance.store.write() as tx:
        return end_override(tx, governance.outbox, ORDERS, governance.order(), exempt_roles=())


def test_an_asset_is_quarantined_by_hand(governance: Governance) -> None:
    done = governance.hold("main.orders", "enforce", hours=5)
    assert (done.asset, done.mode, done.revision) == (ORDERS, "enforce", 1)
    (event,) = governance.published("policy.asset_quarantined.v1")
    assert event.actor_id == "u-1"
    assert event.until == governance.now + timedelta(hours=5)
    governance.report(passed(), passed(), passed())
    assert mode(governance) == "enforce"


def test_a_release_by_hand_holds_against_failing_checks(governance: Governance) -> None:
    governance.report(failed())
    assert governance.hold(ORDERS, "released").revision == 2
    governance.report(failed(), failed("other", severity="critical"))
    assert mode(governance) is None
    assert len(governance.published("policy.asset_quarantined.v1")) == 1


def test_a_release_of_what_is_open_only_holds(governance: Governance) -> None:
    done = governance.hold(ORDERS, "released")
    assert done.revision is None
    assert governance.published() == []
    governance.report(failed())
    assert mode(governance) is None


def test_when_it_ends_the_checks_count_again(governance: Governance) -> None:
    governance.report(failed())
    governance.hold(ORDERS, "released")
    done = ended(governance)
    assert (done.mode, done.revision) == ("enforce", 3)
    found = governance.read(lambda tx: asset_queries.decisions(tx, TENANT, asset=ORDERS, limit=9))
    assert {one.rule for one in found} == {"error: 1 of 1 runs", "override", "override ended"}


def test_when_a_quarantine_by_hand_ends_an_asset_without_failing_checks_is_released(
    governance: Governance,
) -> None:
    governance.hold(ORDERS, "warn")
    assert ended(governance).mode is None
    assert mode(governance) is None


def test_when_it_ends_and_the_checks_want_the_same_nothing_happens(governance: Governance) -> None:
    governance.report(failed())
    governance.hold(ORDERS, "enforce")
    before = governance.published()
    assert ended(governance).decision_id is None
    assert governance.published() == before


def test_a_word_takes_the_place_of_another(governance: Governance) -> None:
    governance.hold(ORDERS, "enforce")
    governance.hold(ORDERS, "released")
    (override,) = governance.read(lambda tx: asset_queries.overrides(tx, TENANT))
    assert override.wanted == "released"
    assert mode(governance) is None


def test_there_is_nothing_to_end(governance: Governance) -> None:
    with pytest.raises(InvalidInput, match="no override"):
        ended(governance)


@pytest.mark.parametrize("hours", [0, -1, 24 * 91])
def test_a_word_ends_and_not_in_the_past(governance: Governance, hours: int) -> None:
    with pytest.raises(InvalidInput, match="within 90 days"), governance.store.write() as tx:
        hold(
            tx,
            governance.outbox,
            ORDERS,
            "enforce",
            governance.order(),
            until=governance.now + timedelta(hours=hours),
            exempt_roles=(),
        )
