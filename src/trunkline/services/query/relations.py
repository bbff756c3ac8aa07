"""The tables and views of one database, as queries name them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from trunkline.catalogue.assets import table_urn
from trunkline.services.query.errors import BadStatement

CTE_PREFIX: Final = "__cte_"
"""How every common table expression is called in what is executed; no relation may be called so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """A table or a view, written as the database has it. `view` is the statement that created a view.

    `missing` says that there is no such table. It is decided about all the same: whoever may not read a table
    is told that, whether or not it is here.
    """

    schema: str
    name: str
    columns: tuple[str, ...]
    view: str | None = None
    missing: str | None = None

    @property
    def key(self) -> tuple[str, str]:
        """Schema and name in lower case: DuckDB takes any case for the same."""
        return self.schema.lower(), self.name.lower()

    @property
    def urn(self) -> str:
        """Its name on the bus."""
        return table_urn(self.name, schema=self.schema)

    def column(self, name: str) -> str | None:
        """The column of that name in any case, as the database writes it."""
        lower = name.lower()
        return next((column for column in self.columns if column.lower() == lower), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Relations:
    """Everything that can be read in `database`, searched in `default_schema` for a name without one.

    `macros` are functions that the database brings along, in lower case; they are never called. `version`
    differs whenever anything here does.
    """

    database: str
    default_schema: str
    version: str
    macros: frozenset[str] = frozenset()
    by_key: Mapping[tuple[str, str], Relation] = field(default_factory=lambda: MappingProxyType({}))

    def find(self, parts: tuple[str, ...], *, default_schema: str | None = None) -> Relation:
        """The relation that SQL names by these parts, a missing one if there is none.

        Raises `BadStatement` for what is outside of the database.
        """
        shown = ".".join(parts)
        name = parts[-1].lower()
        schema = (parts[-2] if len(parts) > 1 else default_schema or self.default_schema).lower()
        if len(parts) > 3 or (len(parts) == 3 and parts[0].lower() != self.database.lower()):
            raise BadStatement("unknown_table", f"{shown}: a query reads the tenant's own database only")
        found = self.by_key.get((schema, name))
        if found is None:
            missing = f"there is no table {shown}{self._near(name)}"
            return Relation(schema=schema, name=name, columns=(), missing=missing)
        return found

    def _near(self, name: str) -> str:
        elsewhere = sorted(
            f"{found.schema}.{found.name}" for (_, one), found in self.by_key.items() if one == name
        )
        return f"; there is {', '.join(elsewhere[:3])}" if elsewhere else ""


def relations_of(
    database: str,
    relations: Iterable[Relation],
    *,
    default_schema: str,
    version: str,
    macros: Iterable[str] = (),
) -> Relations:
    """All of these, by key; those with a name that is ours are left out."""
    return Relations(
        database=database,
        default_schema=default_schema,
        version=version,
        macros=frozenset(name.lower() for name in macros),
        by_key=MappingProxyType(
            {one.key: one for one in relations if not one.name.lower().startswith(CTE_PREFIX)}
        ),
    )
