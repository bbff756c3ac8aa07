"""`trunkline.testing.torture.schedule`: faults are a function of the seed, and leave a run able to go on."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from trunkline.testing.torture.schedule import (
    HEAD_SECONDS,
    NATURES,
    TAIL_SECONDS,
    Abilities,
    Fault,
    Kind,
    Victim,
    draw,
)

KINDS = st.frozensets(st.sampled_from(sorted(set(Kind) - {Kind.GROW_TOPIC})), min_size=1)
ABILITIES = st.builds(
    Abilities,
    kinds=KINDS,
    brokers=st.sampled_from([1, 3]),
    consumers=st.integers(1, 4),
    publishers=st.integers(1, 4),
    relays=st.integers(1, 2),
)
EVERYTHING = Abilities(kinds=frozenset(Kind), brokers=3)


@given(seed=st.integers(), seconds=st.floats(10, 600), abilities=ABILITIES)
def test_the_same_seed_draws_the_same_faults(seed: int, seconds: float, abilities: Abilities) -> None:
    first = draw(seed, seconds=seconds, abilities=abilities)
    assert first == draw(seed, seconds=seconds, abilities=abilities)


@given(seed=st.integers(), seconds=st.floats(10, 600), abilities=ABILITIES)
def test_faults_begin_within_the_run_and_hurt_only_what_is_there(
    seed: int, seconds: float, abilities: Abilities
) -> None:
    for fault in draw(seed, seconds=seconds, abilities=abilities):
        assert HEAD_SECONDS <= fault.at <= seconds - TAIL_SECONDS + 0.01
        assert fault.kind in abilities.kinds
        assert 0 <= fault.target < abilities.number(NATURES[fault.kind].victim)
        shortest, longest = NATURES[fault.kind].seconds
        assert shortest <= fault.seconds <= longest


@given(seed=st.integers())
def test_no_victim_is_hurt_twice_at_once_and_of_the_brokers_only_one(seed: int) -> None:
    faults = draw(seed, seconds=300, abilities=EVERYTHING, faults_min=200)
    for victim in Victim:
        for target in range(EVERYTHING.number(victim)):
            mine = [
                fault
                for fault in faults
                if NATURES[fault.kind].victim is victim
                and (victim is Victim.BROKER or fault.target == target)
            ]
            for earlier, later in pairwise(mine):
                assert later.at >= earlier.at + earlier.seconds


@given(seed=st.integers())
def test_five_minutes_hold_a_hundred_faults_of_every_kind_that_matters(seed: int) -> None:
    faults = draw(seed, seconds=300, abilities=EVERYTHING, faults_min=100)
    assert len(faults) >= 100
    assert {NATURES[fault.kind].victim for fault in faults} == set(Victim)


@given(seed=st.integers())
def test_a_topic_grows_once_in_the_middle(seed: int) -> None:
    faults = draw(seed, seconds=60, abilities=EVERYTHING)
    assert [fault for fault in faults if fault.kind is Kind.GROW_TOPIC] == [
        Fault(at=30.0, kind=Kind.GROW_TOPIC, target=0, seconds=0)
    ]
