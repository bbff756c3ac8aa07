"""Which revision a store's tables are of, and which this version wants. Changes nothing."""

from typing import NamedTuple

from sqlalchemy import inspect, text

from trunkline.client.store.engine import Store
from trunkline.client.store.migrate import Component


class Standing(NamedTuple):
    """A component's revision in the store, None where it has no tables yet, and the newest one.

    `known` tells whether this version has the store's revision among its scripts.
    """

    component: str
    current: str | None
    newest: str
    known: bool = True

    @property
    def is_newest(self) -> bool:
        """Whether there is nothing to migrate."""
        return self.current == self.newest


def standing(store: Store, component: Component) -> Standing:
    """How a component stands in this store. Raises `StoreUnavailable`."""
    # Alembic costs 0.1 s to import.
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory(str(component.scripts), version_locations=[str(component.scripts)])
    newest = scripts.get_current_head() or ""
    with store.read() as connection:
        if not inspect(connection).has_table(component.version_table):
            return Standing(component.name, None, newest)
        table = component.version_table
        current = connection.execute(text(f"SELECT version_num FROM {table}")).scalar()  # noqa: S608 - ours
    known = {script.revision for script in scripts.walk_revisions()}
    return Standing(component.name, current, newest, current is None or current in known)
