"""What a run has to say: the figures, the four counts, and for whoever broke a promise its story."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from trunkline.testing.torture.journal import COMMITTED, DELIVERED, Settled
from trunkline.testing.torture.schedule import Fault
from trunkline.testing.torture.verdict import STORIES_MAX, Evidence, Verdict, judge, story, unknown_outcomes

HISTORY_SECONDS: Final = 15.0
"""A culprit's story begins so long before its event was published."""


@dataclass(frozen=True, slots=True)
class Struck:
    """A fault that was carried out at this Unix time; `failed` says why it could not be."""

    at: float
    fault: Fault
    failed: str | None = None

    def __str__(self) -> str:
        return f"{self.at:.3f} {self.fault}" + (f" (not done: {self.failed})" if self.failed else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class TortureReport:
    """The outcome of a run. Times are in seconds, the throughput in effects a second."""

    ok: bool
    engine: str
    seed: int
    seconds: float
    faults: int
    faults_wanted: int
    faults_by_kind: dict[str, int]
    published: int
    acknowledged: int
    unknown: int
    in_log: int
    effects: int
    ledger: int
    lost: int
    duplicated_effects: int
    reordered: int
    skipped_without_ledger: int
    unresolved: int
    strangers: int
    throughput: float
    longest_stall_seconds: float
    drain_seconds: float
    gave_up: int
    """How often a process ended because the cluster or the store was away, and was started again."""

    problems: tuple[str, ...]
    """What went wrong beside the counts: something did not drain, a process ended that should not."""

    stories: tuple[str, ...]
    kept: str | None
    """The directory, when it was kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """How a run went, as the one who led it saw it."""

    engine: str
    seed: int
    seconds: float
    faults_wanted: int
    began: float
    struck: Sequence[Struck]
    effect_times: Sequence[float]
    drain_seconds: float
    gave_up: int
    problems: Sequence[str]


def report_on(course: Course, evidence: Evidence, *, kept: str | None) -> TortureReport:
    """Judge a run."""
    verdict = judge(evidence)
    done = [struck for struck in course.struck if struck.failed is None]
    ends = [entry for entry in evidence.journal if isinstance(entry, Settled)]
    problems = list(course.problems)
    if len(done) < course.faults_wanted:
        problems.append(f"only {len(done)} of at least {course.faults_wanted} faults could be done")
    return TortureReport(
        ok=verdict.ok and not problems,
        engine=course.engine,
        seed=course.seed,
        seconds=course.seconds,
        faults=len(done),
        faults_wanted=course.faults_wanted,
        faults_by_kind=dict(sorted(Counter(str(struck.fault.kind) for struck in done).items())),
        published=len(evidence.intents),
        acknowledged=len({end.id for end in ends if end.outcome in {DELIVERED, COMMITTED}}),
        unknown=unknown_outcomes(evidence),
        in_log=len(evidence.log),
        effects=len(evidence.effects),
        ledger=len(evidence.ledger),
        lost=verdict.lost,
        duplicated_effects=verdict.duplicated_effects,
        reordered=verdict.reordered,
        skipped_without_ledger=verdict.skipped_without_ledger,
        unresolved=verdict.unresolved,
        strangers=verdict.strangers,
        throughput=round(len(evidence.effects) / course.seconds, 1),
        longest_stall_seconds=longest_stall(course),
        drain_seconds=round(course.drain_seconds, 2),
        gave_up=course.gave_up,
        problems=tuple(problems),
        stories=tuple(_stories(course, evidence, verdict)),
        kept=kept,
    )


def longest_stall(course: Course) -> float:
    """The longest time without any effect while events were published."""
    end = course.began + course.seconds
    times = [course.began, *(at for at in sorted(course.effect_times) if course.began < at < end), end]
    return round(max(later - earlier for earlier, later in pairwise(times)), 2)


def _stories(course: Course, evidence: Evidence, verdict: Verdict) -> list[str]:
    """The first culprits of each count, each with the faults around its event."""
    told: Counter[str] = Counter()
    lines: list[str] = []
    for culprit in verdict.culprits:
        told[culprit.count] += 1
        if told[culprit.count] > STORIES_MAX:
            continue
        lines += story(evidence, culprit)
        intent = evidence.intents.get(culprit.identity)
        if intent is None:
            continue
        ends = evidence.settled.get(intent.id, [])
        last = max((end.at for end in ends), default=intent.at)
        lines += [
            f"    {struck}"
            for struck in course.struck
            if intent.at - HISTORY_SECONDS <= struck.at <= last + HISTORY_SECONDS
        ]
    return lines
