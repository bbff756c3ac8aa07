"""`trunkline torture`: everything that can be hurt is hurt, on a schedule, and the promises are checked."""

import dataclasses
import random
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from trunkline.cli import _common
from trunkline.cli._common import AsJson
from trunkline.errors import InvalidInput
from trunkline.testing.torture.sabotage import Safeguard

if TYPE_CHECKING:
    from trunkline.testing.torture.engines import Engine
    from trunkline.testing.torture.report import TortureReport

SEEDS: Final = 1_000_000

HELP: Final = """Hurt publishers, consumers, brokers and store on a seeded schedule, then check every promise.

Every acknowledged event must be in the log and take effect once, in its tenant's order, or be in the
failure ledger: lost, duplicated, reordered and skipped must all be 0, else exit 1 and say how.

[bold]Example[/bold]

  trunkline torture --seconds 60 --engine embedded --json
"""

app = _common.new_app(HELP)


class EngineName(StrEnum):
    """On what the run takes place."""

    EMBEDDED = "embedded"
    KAFKA = "kafka"


@app.command(help=HELP)
def torture(
    *,
    seconds: Annotated[float, typer.Option(min=5, max=86_400, help="How long to publish and hurt.")] = 60,
    engine: Annotated[EngineName, typer.Option(help="The embedded broker, or real Apache Kafka.")] = (
        EngineName.EMBEDDED
    ),
    brokers: Annotated[int | None, typer.Option(help="Brokers of real Kafka: 1 or 3.")] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed draws the same faults.")] = None,
    faults: Annotated[int, typer.Option(min=0, max=100_000, help="At least so many faults.")] = 0,
    keep: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Keep journals, logs and store here; must be empty.")
    ] = None,
    as_json: AsJson = False,
    without: Annotated[Safeguard | None, typer.Option(hidden=True)] = None,
) -> None:
    from trunkline.testing.torture.cast import Plan
    from trunkline.testing.torture.run import torture as run

    number = _brokers(engine, brokers)
    chosen = random.randrange(SEEDS) if seed is None else seed  # noqa: S311 - a label, not a secret
    with _interrupted_by_sigterm(), _directory(keep) as directory:
        plan = Plan(
            engine=engine.value,
            seed=chosen,
            seconds=seconds,
            faults_min=faults,
            brokers=number,
            directory=directory,
            without=without,
        )
        with closing(_open_engine(engine, number, directory / "cluster", seed=chosen)) as cluster:
            report = run(plan, cluster, say=_common.note)
        kept = keep if report.ok else keep or _save(directory)
    report = dataclasses.replace(report, kept=None if kept is None else str(kept))
    _print(report, as_json=as_json)
    if not report.ok:
        raise typer.Exit(1)


def _brokers(engine: EngineName, brokers: int | None) -> int:
    if engine is EngineName.EMBEDDED:
        if brokers not in {None, 1}:
            raise InvalidInput(f"the embedded broker is one, not {brokers}; give --engine kafka")
        return 1
    if brokers not in {None, 1, 3}:
        raise InvalidInput(f"--brokers {brokers}: real Kafka runs with 1 or 3")
    return brokers or 3


def _open_engine(engine: EngineName, brokers: int, directory: Path, *, seed: int) -> "Engine":
    from trunkline.testing.torture.engines import EmbeddedEngine, KafkaEngine
    from trunkline.testing.torture.publishing import TOPIC

    if engine is EngineName.EMBEDDED:
        return EmbeddedEngine(directory)
    return KafkaEngine(directory, brokers=brokers, topic=TOPIC, seed=seed)


@contextmanager
def _interrupted_by_sigterm() -> Iterator[None]:
    """SIGTERM ends the run as Ctrl-C does, with everything taken down in order."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _directory(keep: Path | None) -> Iterator[Path]:
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="trunkline-torture-") as directory:
            yield Path(directory)
        return
    try:
        keep.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(f"--keep {keep}: {error.strerror}; choose another directory") from error
    if any(keep.iterdir()):
        raise InvalidInput(f"--keep {keep} is not empty; give a new directory")
    yield keep


def _save(directory: Path) -> Path:
    """A copy of a failed run's directory."""
    saved = Path(tempfile.mkdtemp(prefix="trunkline-torture-failed-"))
    return shutil.copytree(directory, saved, dirs_exist_ok=True)


def _print(report: "TortureReport", *, as_json: bool) -> None:
    if as_json:
        _common.print_json(report)
    else:
        _print_table(report)
    if not report.ok:
        _common.note(
            f"FAILED with --engine {report.engine} --seconds {report.seconds:g} --seed {report.seed}"
        )
        for line in (*report.problems, *report.stories):
            _common.note(line)
        _common.note(f"everything is in {report.kept}")


def _print_table(report: "TortureReport") -> None:
    from rich.table import Table

    table = Table(box=None, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name, value in dataclasses.asdict(report).items():
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            table.add_row(_WORDS.get(name, name.replace("_", " ")), f"{value:,}")
    for kind, number in report.faults_by_kind.items():
        table.add_row(f"  {kind}", f"{number:,}")
    _common.console().print(table)
    if report.ok:
        _common.console().print("every promise was kept: the four counts are 0")


_WORDS: Final = {
    "faults_wanted": "faults wanted at least",
    "in_log": "in log, with what was sent again",
    "throughput": "effects a second",
    "drain_seconds": "seconds to drain",
}
