"""What a person wants to see of a running backbone: how much was published, is in the log and took effect."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from trunkline.catalogue.model import Catalogue
from trunkline.cli._common import service_store_url
from trunkline.client.admin import group_lag, topic_views
from trunkline.client.config import ConnectionOptions
from trunkline.client.store import failures, open_store
from trunkline.services.audit.queries import heads

if TYPE_CHECKING:
    from rich.console import Group

AUDIT: str = "audit-service"


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicCount:
    """Records of one topic: published by this process, in the log, and not yet read by its audit group.

    `behind` is None for a topic that audit does not consume.
    """

    topic: str
    published: int
    in_log: int
    behind: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """One look at the whole. `failures` are the open ones of the audit service."""

    topics: tuple[TopicCount, ...]
    in_ledger: int
    tenants: int
    failures: int

    @property
    def published(self) -> int:
        return sum(topic.published for topic in self.topics)

    @property
    def in_log(self) -> int:
        return sum(topic.in_log for topic in self.topics)

    @property
    def behind(self) -> int:
        return sum(topic.behind or 0 for topic in self.topics)


def count(
    connection: ConnectionOptions, catalogue: Catalogue, data_dir: Path, published: dict[str, int]
) -> Counts:
    """Ask the cluster and the audit service's store. Raises `Unavailable` while one of them is away."""
    behind: dict[str, int] = {}
    for lag in group_lag(connection, catalogue, AUDIT):
        behind[lag.topic] = behind.get(lag.topic, 0) + lag.lag
    topics = tuple(
        TopicCount(
            topic=view.name,
            published=published.get(view.name, 0),
            in_log=sum(end - begin for begin, end in view.offsets.values()),
            behind=behind.get(view.name),
        )
        for view in topic_views(connection, catalogue)
    )
    store = open_store(service_store_url(data_dir, AUDIT))
    try:
        with store.read() as tx:
            ledgers = heads(tx)
            failed = sum(
                number
                for (status, _), number in failures.counts(tx).items()
                if status == failures.Status.OPEN
            )
    finally:
        store.close()
    return Counts(
        topics=topics,
        in_ledger=sum(head.size for head in ledgers),
        tenants=len(ledgers),
        failures=failed,
    )


def line_of(counts: Counts) -> str:
    """One line for a log."""
    return (
        f"published {counts.published:,} · in the log {counts.in_log:,} · "
        f"in the audit ledger {counts.in_ledger:,} of {counts.tenants:,} tenants · "
        f"behind {counts.behind:,} · failures {counts.failures:,}"
    )


def table_of(counts: Counts, *, title: str) -> "Group":
    """A table for a terminal, and a line below it."""
    from rich.console import Group
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    table.add_column("topic")
    for heading in ("published", "in the log", "audit is behind"):
        table.add_column(heading, justify="right")
    for topic in counts.topics:
        behind = "not its topic" if topic.behind is None else f"{topic.behind:,}"
        table.add_row(topic.topic, f"{topic.published:,}", f"{topic.in_log:,}", behind)
    return Group(
        table,
        f"{counts.in_ledger:,} entries of {counts.tenants:,} tenants in the audit ledger, "
        f"{counts.failures:,} open failures. Ctrl-C stops.",
    )
