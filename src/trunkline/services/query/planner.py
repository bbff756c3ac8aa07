"""From a statement and its reader to what is executed, or to who denies it.

    parse and resolve -> decide for every table -> rewrite -> DuckDB's own word on the result

Everything here follows from its arguments: the same statement, reader, policies and tables give the same
plan, so each step is kept by what it depends on. A changed policy is another revision and finds nothing kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from trunkline.services.policies.bundle import Bundle
from trunkline.services.query.cedar import Principal, Said
from trunkline.services.query.errors import BadStatement, Denied
from trunkline.services.query.inspection import Expected, Inspector
from trunkline.services.query.lru import Lru
from trunkline.services.query.relations import Relation, Relations
from trunkline.services.query.rewrite import Guard, rewrite
from trunkline.services.query.rules import Decision, Note, TableRules
from trunkline.services.query.statement import Resolved, fingerprint_of, resolve

STATEMENTS_KEPT: Final = 1_024
PLANS_KEPT: Final = 4_096
RULES_KEPT: Final = 8_192

NODES_KEPT: Final = 250_000
"""Of the trees of statements, all together: some 400 bytes each. One statement may have 50,000."""

POLICY_CHARS_KEPT: Final = 4 << 20
"""Of the policies in all rules, which take up to 50 bytes a character; as much as a bundle may have."""

PLAN_CHARS_KEPT: Final = 8 << 20
"""Of the texts to execute, and of the decisions that led to them."""

_DECISION_CHARS: Final = 100
"""What a policy's name takes in a plan."""

STALE: Final = "trunkline:stale"
"""Stands for the policy where policies are too old to be relied on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policies:
    """What decides for a tenant: its bundle, its classifications by asset, what holds without a policy."""

    bundle: Bundle
    tags: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    tags_digest: str = ""
    open_by_default: bool = True

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for what decides equally."""
        bundle = self.bundle
        return bundle.tenant, bundle.revision, bundle.digest, self.tags_digest, self.open_by_default

    @property
    def enforces(self) -> bool:
        """Whether any policy is in force."""
        return any(policy.mode == "enforce" for policy in self.bundle.policies) or not self.open_by_default


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to happen with a statement: `sql` is what is executed, None if it is denied."""

    fingerprint: str
    revision: int
    decisions: tuple[Decision, ...]
    sql: str | None
    denied: Said | None = None
    denied_asset: str = ""

    @property
    def tables(self) -> tuple[str, ...]:
        """The URNs of what is read, sorted."""
        return tuple(sorted({decision.asset for decision in self.decisions}))

    @property
    def guarded(self) -> bool:
        """Whether rows are filtered or values masked."""
        return any(decision.filters or decision.masks for decision in self.decisions)

    @property
    def warnings(self) -> tuple[Note, ...]:
        """What is told to the reader."""
        return tuple(note for decision in self.decisions for note in decision.notes if note.mode == "warn")

    def require_allowed(self) -> str:
        """The text to execute. Raises `Denied`."""
        if self.denied is not None or self.sql is None:
            assert self.denied is not None, "a plan without a text is denied"
            raise Denied(
                asset=self.denied_asset,
                policy_id=self.denied.policy_id,
                revision=self.revision,
                reason=self.denied.reason,
                temporary=self.denied.policy_id == STALE,
            )
        return self.sql


class Planner:
    """Makes plans. Thread-safe."""

    def __init__(self) -> None:
        self._inspector = Inspector()
        self._statements: Lru[Resolved] = Lru(STATEMENTS_KEPT, weight_max=NODES_KEPT, weight=_nodes)
        self._rules: Lru[TableRules] = Lru(
            RULES_KEPT, weight_max=POLICY_CHARS_KEPT, weight=lambda rules: rules.policy_chars
        )
        self._rewrites: Lru[str] = Lru(STATEMENTS_KEPT, weight_max=PLAN_CHARS_KEPT, weight=len)
        self._plans: Lru[Plan] = Lru(PLANS_KEPT, weight_max=PLAN_CHARS_KEPT, weight=_plan_chars)

    def plan(
        self,
        sql: str,
        reader: Principal,
        policies: Policies,
        relations: Relations,
        *,
        origin: str = "user",
        stale: bool = False,
    ) -> Plan:
        """What happens with the statement.

        Raises `BadStatement` before any policy is asked, for an unknown table after none has denied it.

        `stale`: the policies may have changed without our knowing. Then a tenant that enforces any is denied
        everything, since what was missed could be about any table.
        """
        fingerprint = fingerprint_of(sql)
        statement = (policies.bundle.tenant, relations.version, fingerprint)
        resolved = self._statements.get(statement, lambda: resolve(sql, relations))
        if stale and policies.enforces:
            return _stale(resolved, policies)
        return self._plans.get(
            (policies.key, relations.version, fingerprint, reader, origin),
            lambda: self._planned(resolved, reader, policies, relations, origin),
        )

    def decide(
        self, relation: Relation, reader: Principal, policies: Policies, version: str, *, origin: str = "user"
    ) -> Decision:
        """What the policies say of one table in this version of the database."""
        return self._rules_of(relation, policies, version).decide(reader, origin=origin)

    def close(self) -> None:
        """Give the parser back."""
        self._inspector.close()

    def _planned(
        self, resolved: Resolved, reader: Principal, policies: Policies, relations: Relations, origin: str
    ) -> Plan:
        rules = [self._rules_of(one, policies, relations.version) for one in resolved.relations]
        decisions = tuple(one.decide(reader, origin=origin) for one in rules)
        denial = next((found for found in decisions if found.denied_by is not None), None)
        sql, denied, asset = None, None, ""
        if denial is not None:
            denied, asset = denial.denied_by, denial.asset
        else:
            _require_present(resolved)
            # Filters and masks are the same for all readers.
            guards = {one.relation.key: one.guard for one in rules}
            sql = self._rewrites.get(
                (policies.key, relations.version, resolved.fingerprint),
                lambda: self._rewritten(resolved, guards, relations),
            )
        return Plan(
            fingerprint=resolved.fingerprint,
            revision=policies.bundle.revision,
            decisions=decisions,
            sql=sql,
            denied=denied,
            denied_asset=asset,
        )

    def _rewritten(
        self, resolved: Resolved, guards: Mapping[tuple[str, str], Guard | None], relations: Relations
    ) -> str:
        tables = {
            (relations.database, relation.schema, relation.name): _filters(guards[relation.key])
            for relation in resolved.relations
            if relation.view is None
        }
        try:
            sql = rewrite(resolved, lambda relation: guards[relation.key])
            self._inspector.inspect(sql, Expected(tables=tables, macros=relations.macros))
        except RecursionError as error:
            raise BadStatement("too_deep", "the statement is nested too deeply") from error
        return sql

    def _rules_of(self, relation: Relation, policies: Policies, version: str) -> TableRules:
        return self._rules.get(
            (policies.key, version, relation.key),
            lambda: TableRules(
                relation,
                policies.bundle.policies,
                policies.tags,
                open_by_default=policies.open_by_default,
            ),
        )


def _nodes(resolved: Resolved) -> int:
    return sum(1 for _ in resolved.tree.walk())


def _plan_chars(plan: Plan) -> int:
    named = sum(1 + len(one.filters) + len(one.masks) + len(one.notes) for one in plan.decisions)
    return len(plan.sql or "") + _DECISION_CHARS * named


def _require_present(resolved: Resolved) -> None:
    for relation in resolved.relations:
        if relation.missing is not None:
            raise BadStatement("unknown_table", relation.missing)


def _filters(guard: Guard | None) -> bool:
    return guard is not None and guard.condition is not None


def _stale(resolved: Resolved, policies: Policies) -> Plan:
    """Nobody may read anything until it is known which policies hold."""
    asset = resolved.relations[0].urn if resolved.relations else "urn:query"
    return Plan(
        fingerprint=resolved.fingerprint,
        revision=policies.bundle.revision,
        decisions=(),
        sql=None,
        denied=Said(STALE, "it is not known whether these are still the policies; try again in a moment"),
        denied_asset=asset,
    )
