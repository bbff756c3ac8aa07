"""Brings a store's schema up to date, component by component.

A component is a directory of Alembic revision scripts with a version table of its own, so that the client's
tables and a service's tables live in one database and move independently. There is no `alembic.ini` and no
`env.py`: the transaction is the store's, and a half-done upgrade rolls back whole.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, text

from trunkline.client.errors import StoreIncompatible
from trunkline.client.store.engine import Store

if TYPE_CHECKING:
    from alembic.runtime.migration import MigrationContext


@dataclass(frozen=True, slots=True)
class Component:
    """Tables that are migrated together. `scripts` holds the revisions; `name` is part of a table's name."""

    name: str
    scripts: Path

    @property
    def version_table(self) -> str:
        return f"{self.name}_schema_version"


MIGRATION_LOCK: Final = 0x74_72_75_6E_6B
"""The key of the advisory lock under which a PostgreSQL store is migrated; "trunk" in ASCII."""

MIGRATION_SECONDS: Final = 600
"""How long a migration may take, and others wait for it; a large table takes longer than any batch."""

CONSUMER_STATE: Final = Component("consumer", Path(__file__).parent / "migrations")
"""Position, dedupe and failure ledger: what every consuming service needs."""


def migrate(store: Store, component: Component = CONSUMER_STATE) -> None:
    """Upgrade the component's tables to the newest revision. Does nothing when they are there already.

    Safe to call from several processes at once: one of them migrates, the others wait. Raises
    `StoreIncompatible` if the store is at a revision this version does not know, and `StoreUnavailable`.
    """
    # Alembic costs 0.1 s to import, which commands that only read need not pay.
    from alembic.migration import MigrationContext
    from alembic.operations import Operations
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError

    scripts = ScriptDirectory(str(component.scripts), version_locations=[str(component.scripts)])

    def upgrade(revision: Any, _context: "MigrationContext") -> Any:
        return scripts._upgrade_revs("head", revision)  # as Alembic's cookbook has it

    with store.write() as connection:
        _alone(connection)
        context = MigrationContext.configure(
            connection, opts={"version_table": component.version_table, "fn": upgrade}
        )
        try:
            with Operations.context(context):
                context.run_migrations()
        except CommandError as error:
            raise StoreIncompatible(
                f"store {store.url}: its {component.name} tables are of a newer version ({error}); "
                "upgrade Trunkline"
            ) from error


def _alone(tx: Connection) -> None:
    """Let nobody else migrate until the transaction ends. On SQLite every writer is alone."""
    if tx.dialect.name != "postgresql":
        return
    for name in ("lock_timeout", "statement_timeout"):
        tx.execute(
            text("SELECT set_config(:name, :value, true)"), {"name": name, "value": f"{MIGRATION_SECONDS}s"}
        )
    tx.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
