"""`trunkline.testing.torture.verdict`: a run in order is acquitted, and every damage is found and told."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.testing.checker import Effect, Identity, Logged, Position
from trunkline.testing.torture.journal import COMMITTED, DELIVERED, UNKNOWN, Entry, Intent, Settled
from trunkline.testing.torture.verdict import Evidence, LedgerRow, judge, story, unknown_outcomes

TOPIC = "agent.run.events"
SOURCE = "/ai"


def intent(tenant: str, number: int) -> Intent:
    return Intent(
        topic=TOPIC,
        tenant=tenant,
        source=SOURCE,
        id=f"{tenant}-{number}",
        sequence=number,
        subject="steady",
        at=float(number),
    )


def identity(tenant: str, number: int) -> Identity:
    return Identity(tenant, SOURCE, f"{tenant}-{number}")


def position(offset: int, partition: int = 0) -> Position:
    return Position(TOPIC, partition, offset)


def evidence_of(*lines: tuple[str, int]) -> Evidence:
    """A run in which each of these events, by tenant and number, was published, logged and took effect."""
    journal: list[Entry] = []
    log, effects = [], []
    for offset, (tenant, number) in enumerate(lines):
        journal.append(intent(tenant, number))
        journal.append(
            Settled(id=f"{tenant}-{number}", outcome=DELIVERED, at=number + 0.5, partition=0, offset=offset)
        )
        log.append(Logged(position(offset), tenant, identity(tenant, number)))
        effects.append(Effect(position(offset), identity(tenant, number)))
    return Evidence(journal=journal, log=log, effects=effects, ledger=[], reached={(TOPIC, 0): len(lines)})


GOOD = evidence_of(("a", 1), ("b", 1), ("a", 2), ("a", 3))

orders = st.lists(st.sampled_from("abc"), max_size=30).map(
    lambda tenants: [(tenant, tenants[: at + 1].count(tenant)) for at, tenant in enumerate(tenants)]
)


@given(lines=orders)
def test_a_run_in_order_is_acquitted(lines: list[tuple[str, int]]) -> None:
    assert judge(evidence_of(*lines)).ok


@given(lines=orders.filter(bool), data=st.data())
def test_a_missing_effect_is_skipped_behind_the_position_and_lost_before_it(
    lines: list[tuple[str, int]], data: st.DataObject
) -> None:
    whole = evidence_of(*lines)
    at = data.draw(st.integers(0, len(lines) - 1))
    gone = replace(whole, effects=[*whole.effects[:at], *whole.effects[at + 1 :]])
    verdict = judge(gone)
    assert (verdict.skipped_without_ledger, verdict.lost) == (1, 0)
    verdict = judge(replace(gone, reached={(TOPIC, 0): at}))
    assert (verdict.skipped_without_ledger, verdict.lost) == (0, 1)


@given(lines=orders.filter(bool), data=st.data())
def test_an_effect_that_happens_again_is_a_duplicate(
    lines: list[tuple[str, int]], data: st.DataObject
) -> None:
    whole = evidence_of(*lines)
    again = data.draw(st.sampled_from(whole.effects))
    verdict = judge(replace(whole, effects=[*whole.effects, again]))
    assert (verdict.duplicated_effects, verdict.reordered) == (1, 0)


@given(lines=orders, data=st.data())
def test_any_exchange_within_a_tenant_is_a_reordering(
    lines: list[tuple[str, int]], data: st.DataObject
) -> None:
    whole = evidence_of(("a", 1), ("a", 2), *((t, n + 2) for t, n in lines))
    own = [at for at, effect in enumerate(whole.effects) if effect.identity.tenant == "a"]
    left, right = data.draw(st.lists(st.sampled_from(own), min_size=2, max_size=2, unique=True))
    effects = list(whole.effects)
    effects[left], effects[right] = effects[right], effects[left]
    assert judge(replace(whole, effects=effects)).reordered > 0


def swapped_log(evidence: Evidence) -> Evidence:
    first, last = evidence.log[0], evidence.log[3]
    log = [
        replace(first, identity=last.identity),
        *evidence.log[1:3],
        replace(last, identity=first.identity),
    ]
    return replace(evidence, log=log)


DAMAGES: dict[str, tuple[Callable[[Evidence], Evidence], str]] = {
    "an acknowledged event is not in the log": (
        lambda good: replace(good, log=good.log[:-1], effects=good.effects[:-1]),
        "lost",
    ),
    "an event of an outbox is not in the log": (
        lambda good: replace(
            good, journal=[*good.journal, intent("a", 4), Settled(id="a-4", outcome=COMMITTED, at=4.0)]
        ),
        "lost",
    ),
    "the log holds a later event first": (swapped_log, "reordered"),
    "a record both failed and took effect": (
        lambda good: replace(good, ledger=[LedgerRow(position=position(0), reason="handler", open=True)]),
        "duplicated_effects",
    ),
    "poison left no trace": (
        lambda good: replace(
            good,
            log=[*good.log, Logged(position(4), "a", Identity("", "", ""))],
            reached={(TOPIC, 0): 5},
        ),
        "skipped_without_ledger",
    ),
    "an event was never acknowledged": (
        lambda good: replace(good, journal=[*good.journal, intent("a", 4)]),
        "unresolved",
    ),
    "something took effect that nobody published": (
        lambda good: replace(good, effects=[*good.effects, Effect(position(9), identity("x", 1))]),
        "strangers",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_found_and_counted_for_what_it_is(name: str) -> None:
    damage, count = DAMAGES[name]
    verdict = judge(damage(GOOD))
    assert not verdict.ok
    assert getattr(verdict, count) > 0
    assert {culprit.count for culprit in verdict.culprits} <= {count, "lost"}


def test_a_repetition_in_the_log_is_no_harm_if_it_took_effect_once() -> None:
    again = Logged(position(4), "a", identity("a", 1))
    assert judge(replace(GOOD, log=[*GOOD.log, again], reached={(TOPIC, 0): 5})).ok


def test_a_failed_event_is_in_the_ledger_and_its_replay_is_not_held_against_the_order() -> None:
    row = LedgerRow(position=position(0), reason="handler", open=True)
    failed = replace(GOOD, effects=GOOD.effects[1:], ledger=[row])
    assert judge(failed).ok
    replayed = replace(failed, effects=[*failed.effects, GOOD.effects[0]], ledger=[replace(row, open=False)])
    assert judge(replayed).ok


def test_a_tenant_that_growth_moved_goes_on_in_the_newer_partition() -> None:
    moved = replace(
        evidence_of(("a", 1), ("a", 2)),
        log=[
            Logged(position(1, partition=0), "a", identity("a", 1)),
            Logged(position(0, partition=3), "a", identity("a", 2)),
        ],
        journal=[intent("a", 1), intent("a", 2), *_delivered_at({1: (0, 1), 2: (3, 0)})],
    )
    assert judge(moved).ok
    wrong = replace(
        moved,
        log=[
            Logged(position(1, partition=0), "a", identity("a", 2)),
            Logged(position(0, partition=3), "a", identity("a", 1)),
        ],
    )
    assert judge(wrong).reordered == 1


def _delivered_at(places: dict[int, tuple[int, int]]) -> list[Entry]:
    return [
        Settled(id=f"a-{number}", outcome=DELIVERED, at=1.0, partition=partition, offset=offset)
        for number, (partition, offset) in places.items()
    ]


def test_an_unknown_outcome_is_counted_once_for_each_event() -> None:
    unknown = Settled(id="a-1", outcome=UNKNOWN, at=1.1, detail="timed out")
    evidence = replace(GOOD, journal=[*GOOD.journal, unknown, unknown])
    assert unknown_outcomes(evidence) == 1


def test_a_story_tells_when_an_event_was_published_answered_and_took_effect() -> None:
    wrong = replace(GOOD, effects=[*GOOD.effects, GOOD.effects[0]])
    (culprit,) = judge(wrong).culprits
    assert story(wrong, culprit) == (
        "duplicated_effects: a a-1: took effect 2 times",
        "  1.000 published as number 1 (steady)",
        "  1.500 delivered at 0@0",
        f"  in the log at {TOPIC}[0]@0",
        "  effects: no. 0, no. 4",
    )
