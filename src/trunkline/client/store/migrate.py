"""Brings a store's schema up to date, component by component.

A component is a directory of Alembic revision scripts with a version table of its own, so that the client's
tables and a service's tables live in one database and move independently. There is no `alembic.ini` and no
`env.py`: the transaction is the store's, and a half-done upgrade rolls back whole.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

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


CONSUMER_STATE: Final = Component("consumer", Path(__file__).parent / "migrations")
"""Position, dedupe and failure ledger: what every consuming service needs."""


def migrate(store: Store, component: Component = CONSUMER_STATE) -> None:
    """Upgrade the component's tables to the newest revision. Does nothing when they are there already.

    Safe to call from several processes at once: the store lets one writer in at a time. Raises
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
