"""Who serves which lanes."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, text, update

from trunkline.client.outbox import claims
from trunkline.client.outbox.claims import LANES, Claim, share
from trunkline.client.outbox.tables import OUTBOX_CLAIM, OUTBOX_RELAY
from trunkline.client.store import Store
from trunkline.testing.consuming import eventually

FREE = {lane: Claim("", 0) for lane in range(LANES)}


def test_the_first_relay_takes_everything_and_gives_up_half_to_a_second(store: Store) -> None:
    with store.write() as tx:
        assert len(claims.keep(tx, "a", lease_ms=60_000, wall_ms=0)) == LANES
        assert claims.keep(tx, "b", lease_ms=60_000, wall_ms=0) == frozenset()
        first = claims.keep(tx, "a", lease_ms=60_000, wall_ms=0)
        second = claims.keep(tx, "b", lease_ms=60_000, wall_ms=0)
    assert first | second == set(range(LANES))
    assert len(first) == len(second) == LANES // 2


def test_who_leaves_leaves_everything_at_once(store: Store) -> None:
    with store.write() as tx:
        claims.keep(tx, "a", lease_ms=60_000, wall_ms=0)
        claims.leave(tx, "a")
        assert len(claims.keep(tx, "b", lease_ms=60_000, wall_ms=0)) == LANES


def test_the_lanes_of_a_dead_relay_are_taken_when_its_claim_has_run_out(store: Store) -> None:
    with store.write() as tx:
        claims.keep(tx, "dead", lease_ms=60_000, wall_ms=1)
        assert not claims.keep(tx, "b", lease_ms=60_000, wall_ms=1)
        for table in (OUTBOX_CLAIM, OUTBOX_RELAY):
            tx.execute(update(table).where(table.c.owner == "dead").values(expires_ms=0))
        assert len(claims.keep(tx, "b", lease_ms=60_000, wall_ms=1)) == LANES


@pytest.mark.parametrize("store_url", ["postgres"], indirect=True)
def test_a_relay_whose_claim_has_run_out_and_one_that_finds_it_so_take_turns(store: Store) -> None:
    """Both touch the late one's row; on SQLite there is one writer at a time anyway."""
    with store.write() as tx:
        claims.keep(tx, "late", lease_ms=60_000, wall_ms=0)
        tx.execute(update(OUTBOX_RELAY).values(expires_ms=0))

    def renew(owner: str) -> frozenset[int]:
        with store.write() as tx:
            return claims.keep(tx, owner, lease_ms=60_000, wall_ms=0)

    def is_waiting() -> bool:
        with store.read() as tx:
            return bool(tx.execute(text("SELECT count(*) FROM pg_locks WHERE NOT granted")).scalar())

    with ThreadPoolExecutor(1) as pool:
        with store.write() as tx:
            tx.execute(select(OUTBOX_CLAIM).with_for_update())
            late = pool.submit(renew, "late")
            eventually(is_waiting)
            claims.keep(tx, "early", lease_ms=60_000, wall_ms=0)
        late.result(20)
    assert renew("early") | renew("late") == set(range(LANES))


@given(
    st.lists(
        st.tuples(st.sampled_from("abcd"), st.sampled_from(["keep", "leave", "freeze"])),
        max_size=60,
    )
)
def test_no_lane_is_held_by_two_and_all_are_held_in_the_end(steps: list[tuple[str, str]]) -> None:
    """Any order of renewals, departures and deaths, at one step a second and leases of eight."""
    claimed = dict(FREE)
    living: dict[str, int] = {}
    now = 0

    def keep(owner: str) -> None:
        living[owner] = now + 8
        for dead in [name for name, until in living.items() if until <= now]:
            del living[dead]
        before = {lane for lane, claim in claimed.items() if claim.owner not in {owner, ""}}
        got = share(claimed, owner, relays=len(living), now_ms=now)
        assert all(lane not in before or claimed[lane].expires_ms <= now for lane in got.hold)
        claimed.update({lane: Claim(owner, now + 8) for lane in got.hold})
        claimed.update({lane: Claim("", 0) for lane in got.release})

    for owner, step in steps:
        now += 1
        if step == "keep":
            keep(owner)
        elif step == "leave" and owner in living:
            del living[owner]
            claimed.update({lane: Claim("", 0) for lane, c in claimed.items() if c.owner == owner})
    last = sorted(living) or ["a"]
    for _ in range(12):
        now += 1
        for owner in last:
            keep(owner)
    assert {claim.owner for claim in claimed.values()} == set(last)
