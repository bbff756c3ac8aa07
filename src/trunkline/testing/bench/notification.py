"""How many webhooks a second go out, and how long after its event a webhook is first attempted."""

import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
from sqlalchemy import func, select

from trunkline.catalogue.events.config import ConfigValueSet
from trunkline.catalogue.events.pipeline import TOPIC, PipelineRunFailed
from trunkline.catalogue.load import load_catalogue
from trunkline.catalogue.names import SYSTEM_TENANT, TenantId
from trunkline.client.batch import BatchProcessor
from trunkline.client.breaker import Breaker
from trunkline.client.broadcast.state import State
from trunkline.client.config import ConnectionOptions
from trunkline.client.store import Store, migrate, open_store
from trunkline.client.store.position import Lane
from trunkline.codec import Record, encode, new_envelope
from trunkline.errors import TrunklineError
from trunkline.services.app import App, Context
from trunkline.services.kit.ending import ENDING
from trunkline.services.kit.keys import KeyRing
from trunkline.services.kit.settings import FixedSettings
from trunkline.services.notification.app import SERVICE
from trunkline.services.notification.tables import ATTEMPT
from trunkline.services.notification.vault import Vault, new_signing_secret
from trunkline.testing.bench.figures import Figure, figure, percentile
from trunkline.testing.bench.raw import LoadFailed

PART: Final = "notification"
NAME: Final = "notification-service"
EVENTS: Final = 4_000
BATCH: Final = 100
STEADY_EVENTS: Final = 5_000
STEADY_PER_SECOND: Final = 1_000
STEADY_BATCH: Final = 50
TENANTS: Final = 50
WEBHOOKS_PER_SECOND_MIN: Final = 1_000.0
FIRST_ATTEMPT_SECONDS_MAX: Final = 1.0
POLL_S: Final = 0.02
DEADLINE_S: Final = 120.0

NOTES: Final = (
    f"notification: {EVENTS} events of {TENANTS} tenants handled in batches of {BATCH} while one sender "
    "delivers a signed webhook each to a receiver in another process, on SQLite; event to first attempt is "
    f"at {STEADY_PER_SECOND} events/s, from before the event is handled until it is received",
)


class Received(NamedTuple):
    """What the receiver has seen: the delivery, when, and the event in it."""

    delivery: str
    at: float
    event: str


def measure(directory: Path, *, rounds: int, say: Callable[[str], None]) -> list[Figure]:
    """Webhooks a second, and the 99th percentile from event to first attempt."""
    rates, waits = [], []
    for number in range(rounds):
        say(f"notification, round {number + 1}")
        rates.append(_throughput(directory / f"rate-{number}"))
        waits.append(_first_attempt(directory / f"wait-{number}"))
    return [
        figure(
            PART,
            "webhooks, loopback",
            samples=rates,
            unit="webhooks/s",
            better="more",
            target=WEBHOOKS_PER_SECOND_MIN,
        ),
        figure(
            PART,
            f"event to first attempt, p99, {STEADY_PER_SECOND}/s",
            samples=waits,
            unit="s",
            better="less",
            target=FIRST_ATTEMPT_SECONDS_MAX,
        ),
    ]


def _throughput(directory: Path) -> float:
    with _sink() as url, _service(directory, url) as (store, app):
        feed = _Feed(store, app)
        began = time.perf_counter()
        for begin in range(0, EVENTS, BATCH):
            feed.handle(begin, BATCH)
        _wait_attempted(store, EVENTS)
        took = time.perf_counter() - began
        _require_once(url, EVENTS)
        return EVENTS / took


def _first_attempt(directory: Path) -> float:
    with _sink() as url, _service(directory, url) as (store, app):
        feed = _Feed(store, app)
        started: dict[str, float] = {}
        next_at = time.monotonic()
        for begin in range(0, STEADY_EVENTS, STEADY_BATCH):
            time.sleep(max(0.0, next_at - time.monotonic()))
            next_at += STEADY_BATCH / STEADY_PER_SECOND
            now = time.time()
            started.update((f"event-{number}", now) for number in range(begin, begin + STEADY_BATCH))
            feed.handle(begin, STEADY_BATCH)
        _wait_attempted(store, STEADY_EVENTS)
        return percentile([one.at - started[one.event] for one in _require_once(url, STEADY_EVENTS)], 99)


@contextmanager
def _sink() -> Iterator[str]:
    """A receiver as a process; yields where it listens."""
    command = [sys.executable, "-m", "trunkline.testing.webhook_sink"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - ourselves
        assert process.stdin is not None
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        process.stdin.close()


@contextmanager
def _service(directory: Path, url: str) -> Iterator[tuple[Store, App]]:
    directory.mkdir(parents=True)
    with closing(open_store(f"sqlite:///{directory / 'service.db'}")) as store:
        migrate(store)
        for component in (*SERVICE.components, ENDING):
            migrate(store, component)
        with closing(KeyRing.open(f"sqlite:///{directory / 'keys.db'}", directory / "master.key")) as keys:
            with store.write() as tx:
                Vault(store, keys).keep(tx, SYSTEM_TENANT, "sink", new_signing_secret(), now_us=1)
            app = SERVICE.build(_context(store, keys, directory, url))
            for companion in app.companions:
                companion.start()
            try:
                yield store, app
            finally:
                for companion in reversed(app.companions):
                    companion.stop()


def _context(store: Store, keys: KeyRing, directory: Path, url: str) -> Context:
    catalogue = load_catalogue()
    return Context(
        service=NAME,
        instance="bench",
        store=store,
        data_dir=directory,
        catalogue=catalogue,
        environment=catalogue.environment("development"),
        connection=ConnectionOptions(bootstrap_servers="127.0.0.1:1"),
        settings=FixedSettings(_settings(url).view(), service=NAME),
        keys=keys,
        outbox=None,
        wake=lambda: None,
        on_failure=_fail,
    )


def _settings(url: str) -> State:
    values = {
        "notification.allowed_networks": ["127.0.0.0/8"],
        "notification.channels.sink": {"kind": "webhook", "url": f"{url}/hook", "secrets": ["secret:sink"]},
        "notification.rules.pipeline-failed": {
            "title": "A pipeline failed",
            "when": {"types": ["pipeline.run_failed.v1"]},
            "key": "{{ data.job }}",
            "channels": ["sink"],
        },
    }
    state = State()
    for number, (key, value) in enumerate(values.items(), 1):
        event = ConfigValueSet(key=key, level="global", value=value, version=number, actor_id="bench")
        state.apply(
            new_envelope(event, tenant=SYSTEM_TENANT, source="/bench", time=datetime.now(UTC), id=str(number))
        )
    return state


class _Feed:
    """Gives events to the service's handler as the consumer does: decoded, deduplicated, in transactions."""

    def __init__(self, store: Store, app: App) -> None:
        assert app.handler is not None
        self._processor = BatchProcessor(store, app.handler, breaker=Breaker(0), wall_ms=lambda: 1)
        self._lane = Lane(group=NAME, cluster_id="bench", topic=TOPIC, topic_id="1", partition=0)

    def handle(self, begin: int, number: int) -> None:
        """Handle events `begin` to `begin + number`."""
        records = [_record(one) for one in range(begin, begin + number)]
        self._processor.process(self._lane, records, expected=begin or None)


def _record(number: int) -> Record:
    event = PipelineRunFailed(
        run_id=f"run-{number}",
        job=f"job-{number}",
        namespace="warehouse",
        duration_ms=900,
        error_code="source_unreachable",
        message="connection refused",
    )
    tenant = TenantId(f"tenant-{number % TENANTS}")
    encoded = encode(
        new_envelope(event, tenant=tenant, source="/bench", time=datetime.now(UTC), id=f"event-{number}")
    )
    return Record(TOPIC, 0, number, 1, encoded.key, encoded.value, tuple(encoded.headers))


def _wait_attempted(store: Store, number: int) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while True:
        with store.read() as tx:
            found = tx.scalar(select(func.count()).select_from(ATTEMPT)) or 0
        if found >= number:
            return
        if time.monotonic() > deadline:
            raise LoadFailed(f"{found} of {number} webhooks were attempted in {DEADLINE_S:g} s")
        time.sleep(POLL_S)


def _require_once(url: str, number: int) -> list[Received]:
    with urllib.request.urlopen(f"{url}/report", timeout=DEADLINE_S) as answer:  # noqa: S310 - our own receiver
        found = msgspec.json.decode(answer.read(), type=list[Received])
    if len(found) != number or len({one.delivery for one in found}) != number:
        raise LoadFailed(f"{number} webhooks were due, {len(found)} came")
    return found


def _fail(error: TrunklineError) -> None:
    raise error
