from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.testing.checker import Claim, Effect, Identity, Logged, Position, Sent, reconcile

TOPIC = "query.execution.events"
Run = tuple[list[Sent], list[Logged], list[Effect]]


def a_good_run(count: int = 6) -> Run:
    """Two tenants taking turns, each on its own partition."""
    sent = [
        Sent(
            topic=TOPIC,
            identity=Identity(f"tenant-{index % 2}", "/s", str(index)),
            position=Position(TOPIC, index % 2, index // 2),
        )
        for index in range(count)
    ]
    positions = [(event.position, event.identity) for event in sent]
    logged = [Logged(position=p, key=i.tenant, identity=i) for p, i in positions if p is not None]
    effects = [Effect(position=p, identity=i) for p, i in positions if p is not None]
    return sent, logged, effects


def check(run: Run) -> tuple[Claim, ...]:
    return reconcile(*run, topics=[TOPIC], effective_topics=[TOPIC])


def broken(claims: tuple[Claim, ...]) -> set[str]:
    return {claim.name for claim in claims if not claim.holds}


def test_a_run_in_which_everything_arrived_breaks_no_claim() -> None:
    assert broken(check(a_good_run())) == set()


def unacknowledged(run: Run) -> Run:
    sent, logged, effects = run
    return [replace(sent[0], position=None), *sent[1:]], logged[1:], effects[1:]


def lost_from_the_log(run: Run) -> Run:
    return run[0], run[1][1:], run[2]


def twice_in_the_log(run: Run) -> Run:
    extra = replace(run[1][0], position=Position(TOPIC, 0, 99))
    return run[0], [*run[1], extra], run[2]


def keyed_by_another_tenant(run: Run) -> Run:
    return run[0], [replace(run[1][0], key="other"), *run[1][1:]], run[2]


def reordered_in_the_log(run: Run) -> Run:
    first, second = run[1][0], run[1][2]
    swapped = [replace(first, position=second.position), replace(second, position=first.position)]
    return run[0], [*swapped, run[1][1], *run[1][3:]], run[2]


def lost_effect(run: Run) -> Run:
    return run[0], run[1], run[2][:-1]


def doubled_effect(run: Run) -> Run:
    return run[0], run[1], [*run[2], run[2][-1]]


def reordered_effects(run: Run) -> Run:
    return run[0], run[1], run[2][::-1]


def moved_tenant(run: Run) -> Run:
    moved = replace(run[1][-1], position=Position(TOPIC, 0, 99))
    return run[0], [*run[1][:-1], moved], run[2]


def silent_topic(run: Run) -> Run:
    del run
    return [], [], []


@pytest.mark.parametrize(
    ("damage", "claim"),
    [
        (unacknowledged, "every published event was acknowledged"),
        (lost_from_the_log, "every acknowledged event is in the log"),
        (twice_in_the_log, "no event is in the log twice"),
        (keyed_by_another_tenant, "every record's key is its tenant"),
        (reordered_in_the_log, "each tenant's events of a topic are in the log in the order published"),
        (moved_tenant, "each tenant has one partition of a topic"),
        (lost_effect, "every event in the log took effect"),
        (doubled_effect, "no event took effect twice"),
        (reordered_effects, "each tenant's events of a topic took effect in the order of the log"),
        (silent_topic, "every topic carries events"),
    ],
)
def test_each_kind_of_damage_breaks_the_claim_that_forbids_it(
    damage: Callable[[Run], Run], claim: str
) -> None:
    assert any(name.startswith(claim) for name in broken(check(damage(a_good_run()))))


def test_what_services_say_of_their_own_accord_must_take_effect_and_was_not_sent() -> None:
    sent, logged, effects = a_good_run()
    own = Logged(Position(TOPIC, 0, 7), "tenant-0", Identity("tenant-0", "/config-service", "1"))
    run = (sent, [*logged, own], effects)
    assert any(name.startswith("every acknowledged event is in the log") for name in broken(check(run)))
    claims = reconcile(*run, topics=[TOPIC], effective_topics=[TOPIC], others=["/config-service"])
    assert broken(claims) == {"every event in the log took effect, and nothing else did"}


@given(st.integers(min_value=1, max_value=40))
def test_effects_of_different_tenants_may_interleave_in_any_way(count: int) -> None:
    sent, logged, effects = a_good_run(count)
    by_tenant = sorted(effects, key=lambda effect: effect.identity.tenant)
    assert broken(check((sent, logged, by_tenant))) == set()


def test_a_broken_claim_names_a_few_culprits_and_counts_them_all() -> None:
    sent, logged, _ = a_good_run(20)
    claim = next(
        claim for claim in check((sent, logged, [])) if "took effect, and nothing else" in claim.name
    )
    assert "20 wrong" in claim.detail
    assert len(claim.examples) == 5
    assert claim.examples[0].startswith(f"missing: {TOPIC}[0]@0")
