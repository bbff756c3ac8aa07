"""A check is failing from a trigger on until it passes often enough; late results find their place."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.catalogue.events.policy import Mode
from trunkline.services.governance.hysteresis import (
    KEPT_MAX,
    LATE_MAX,
    PASSED,
    SEVERITIES,
    Kept,
    Result,
    Rules,
    decode,
    encode,
    result_of,
    taken_in,
    verdict,
)
from trunkline.services.settings.governance import QuarantineMode, Trigger

RULES = Rules(triggers=(("error", Trigger(fails=2, runs=4)),), release_passes=3)
SYMBOLS = {"p": PASSED, "i": 1, "w": 2, "e": 3, "c": 4}


def results(symbols: str) -> list[Result]:
    return [Result(number, f"{number:024x}", SYMBOLS[symbol]) for number, symbol in enumerate(symbols)]


def after(given: list[Result], rules: Rules = RULES) -> list[Kept]:
    kept: list[Kept] = []
    for result in given:
        taken = taken_in(kept, result, rules)
        kept = kept if taken is None else taken
    return kept


@pytest.mark.parametrize(
    ("symbols", "failing"),
    [
        ("", False),
        ("e", False),
        ("ee", True),
        ("epe", True),
        ("eppe", True),
        ("epppe", False),
        ("ww", False),
        ("cw", False),
        ("cc", True),
        ("ee" + "pp", True),
        ("ee" + "ppp", False),
        ("ee" + "ppepp", True),
        ("ee" + "pppe", False),
        ("ee" + "pppee", True),
        ("ee" + "ppp" + "epe", True),
    ],
)
def test_two_errors_of_four_runs_quarantine_and_three_passes_release(symbols: str, failing: bool) -> None:
    assert verdict(after(results(symbols)), RULES).failing == ("enforce" if failing else None)


def test_the_rule_of_the_failure_that_began_it_is_told() -> None:
    assert verdict(after(results("ppeepe")), RULES).rule == "error: 2 of 4 runs"


def test_the_strongest_mode_counts_and_falls_only_by_a_release() -> None:
    rules = Rules(
        triggers=(
            ("critical", Trigger(fails=1, runs=1)),
            ("error", Trigger(fails=1, runs=1, mode="warn")),
            ("warning", Trigger(fails=1, runs=1, mode="off")),
        ),
        release_passes=1,
    )
    modes = [
        verdict(after(results(symbols), rules), rules).failing for symbols in ("w", "e", "ec", "ece", "ecp")
    ]
    assert modes == [None, "warn", "enforce", "enforce", None]


def test_a_result_that_is_there_already_is_not_taken_in() -> None:
    kept = after(results("epe"))
    assert all(taken_in(kept, result, RULES) is None for result in results("epe"))


def test_a_late_result_counts_at_its_time() -> None:
    given = results("epppe")
    assert after([given[0], given[4], *given[1:4]]) == after(given)
    # Without the passes between them the two failures had been a reason; with them they are none.
    assert verdict(after([given[0], given[4]]), RULES).failing == "enforce"


def test_what_is_kept_is_bounded_and_survives_storage() -> None:
    kept = after(results("ep" * 100))
    assert len(kept) == KEPT_MAX
    assert decode(encode(kept)) == kept


def test_a_result_that_is_too_late_is_not_taken_in() -> None:
    given = results("p" * 100)
    kept = after(given[1:])
    assert taken_in(kept, given[0], RULES) is None


def test_identity_is_that_of_the_event() -> None:
    one = result_of("/a", "1", time_us=5, severity=None)
    assert one == result_of("/a", "1", time_us=5, severity=None)
    assert one.rank == PASSED
    assert result_of("/b", "1", time_us=5, severity=None).identity != one.identity
    assert result_of("/a", "1", time_us=5, severity="critical").rank == SEVERITIES["critical"]


symbols = st.text(st.sampled_from("piwec"), max_size=60)


@st.composite
def rules(draw: st.DrawFn) -> Rules:
    def trigger() -> Trigger:
        runs = draw(st.integers(1, 20))
        modes: list[QuarantineMode] = ["off", "monitor", "warn", "enforce"]
        return Trigger(fails=draw(st.integers(1, runs)), runs=runs, mode=draw(st.sampled_from(modes)))

    return Rules(
        triggers=(("critical", trigger()), ("error", trigger()), ("warning", trigger())),
        release_passes=draw(st.integers(1, 20)),
    )


@given(symbols=symbols, rules=rules(), seed=st.integers())
def test_results_that_are_not_too_late_come_to_the_same_in_any_order(
    symbols: str, rules: Rules, seed: int
) -> None:
    given_in_order = results(symbols)
    rng = random.Random(seed)
    delays = {result: rng.uniform(0, LATE_MAX) for result in given_in_order}
    shuffled = sorted(given_in_order, key=lambda result: result.time_us + delays[result])
    assert after(shuffled, rules) == after(given_in_order, rules)


@given(symbols=symbols, rules=rules(), start=st.integers(0, 60))
def test_results_that_come_again_from_anywhere_change_nothing(symbols: str, rules: Rules, start: int) -> None:
    given_in_order = results(symbols)
    kept = after(given_in_order, rules)
    assert after([*given_in_order, *given_in_order[start:]], rules) == kept


@given(symbols=symbols, rules=rules())
def test_the_state_is_that_of_the_rule_applied_to_all_results(symbols: str, rules: Rules) -> None:
    """An oracle that keeps everything: the bounded state never differs from it."""
    assert verdict(after(results(symbols), rules), rules).failing == oracle(symbols, rules)


def oracle(symbols: str, rules: Rules) -> Mode | None:
    strength: dict[str, int] = {"monitor": 0, "warn": 1, "enforce": 2}
    failing: Mode | None = None
    since_release: list[int] = []
    for symbol in symbols:
        since_release.append(SYMBOLS[symbol])
        if symbol == "p":
            row = since_release[-rules.release_passes :]
            if failing and len(row) == rules.release_passes and not any(row):
                failing, since_release = None, []
            continue
        for severity, trigger in rules.triggers:
            least = SEVERITIES[severity]
            counted = sum(rank >= least for rank in since_release[-trigger.runs :])
            if trigger.mode == "off" or SYMBOLS[symbol] < least or counted < trigger.fails:
                continue
            if failing is None or strength[trigger.mode] > strength[failing]:
                failing = trigger.mode
    return failing
