"""One process of a torture run: `python -m trunkline.testing.torture.actor ROLE TASK`, TASK being JSON.

SIGTERM asks it to finish. Everything it has to say goes to standard error, which its owner keeps.
"""

import signal
import sys
import threading
from contextlib import closing
from pathlib import Path
from types import FrameType

import msgspec
from sqlalchemy import Connection, Engine, event

from trunkline.client.config import ConnectionOptions, ConsumerOptions
from trunkline.client.runtime import ConsumerRuntime
from trunkline.client.store import migrate, open_store
from trunkline.errors import TrunklineError
from trunkline.testing.torture.applying import ApplicationTask, apply
from trunkline.testing.torture.effects import EffectHandler
from trunkline.testing.torture.publishing import TOPIC, PublisherTask, TorturedPublisher, open_publisher
from trunkline.testing.torture.sabotage import Safeguard, take_away
from trunkline.testing.torture.schedule import SESSION_SECONDS

PAGES_UNBOUNDED = 4_294_967_294
"""SQLite's own greatest `max_page_count`."""


class ConsumerTask(msgspec.Struct, frozen=True, kw_only=True):
    """One member of the group. While the file `full` exists, the store's disk is full."""

    bootstrap_servers: str
    group: str
    member: int
    store: str
    full: str
    without: Safeguard | None = None


def publish(task: PublisherTask) -> None:
    """Be a publisher."""
    if task.without is not None:
        take_away(task.without)
    stop = threading.Event()
    _on_terminate(stop.set)
    with open_publisher(
        task.bootstrap_servers,
        client_id=f"torture-publisher-{task.number}",
        delivery_timeout_ms=task.delivery_timeout_ms,
    ) as publisher:
        TorturedPublisher(task, publisher).run(stop)


def consume(task: ConsumerTask) -> None:
    """Be a member of the group."""
    if task.without is not None:
        take_away(task.without)
    _fill_while(Path(task.full))
    with closing(open_store(f"sqlite:///{task.store}")) as store:
        migrate(store)
        runtime = ConsumerRuntime(
            service=task.group,
            topics=[TOPIC],
            handler=EffectHandler(store, member=task.member),
            store=store,
            connection=ConnectionOptions(
                bootstrap_servers=task.bootstrap_servers, client_id=f"torture-consumer-{task.member}"
            ),
            options=ConsumerOptions(group=task.group, session_timeout_ms=round(SESSION_SECONDS * 1000)),
        )
        _on_terminate(runtime.stop)
        runtime.run()


def _fill_while(flag: Path) -> None:
    """Let SQLite find no page to grow by, as on a full disk, while the file is there."""

    def limit(connection: Connection) -> None:
        pages = 1 if flag.exists() else PAGES_UNBOUNDED  # Less than there are means: not one more.
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    event.listen(Engine, "begin", limit)


def _on_terminate(stop: object) -> None:
    assert callable(stop)

    def handle(_number: int, _frame: FrameType | None) -> None:
        stop()

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def main(role: str, task: str) -> int:
    """Be `role` until done; returns the exit code."""
    try:
        if role == "publisher":
            publish(msgspec.json.decode(task, type=PublisherTask))
        elif role == "application":
            stop = threading.Event()
            _on_terminate(stop.set)
            apply(msgspec.json.decode(task, type=ApplicationTask), stop)
        else:
            consume(msgspec.json.decode(task, type=ConsumerTask))
    except TrunklineError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
