"""The policies of one revision that are about one table: decided, and turned into a guard.

A policy is in force in the mode `enforce`. One in `warn` or `monitor` changes nothing; what it would have
done is told, to the reader in `warn`, and in the log only in `monitor`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from sqlglot import exp
from sqlglot.errors import SqlglotError

from trunkline.errors import InvalidInput
from trunkline.services.kit.sql import TooDeep, parse_into
from trunkline.services.policies.policy import Policy, Scope, scope_of, written
from trunkline.services.query.cedar import Access, Principal, Said, Subject, in_modes
from trunkline.services.query.relations import Relation
from trunkline.services.query.rewrite import BadPolicy, Guard, bound, column_of, guard_of, masked
from trunkline.services.query.statement import DUCKDB

MODES: Final = ("enforce", "warn", "monitor")
"""From the one in force to the one that is only watched."""

_EVERYTHING: Final = Scope("all")


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What a policy that is not in force would have done."""

    mode: str
    policy_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What the policies say of one table: who denies it, if anybody, and which filters and masks hold.

    `masks` are policy ids by column.
    """

    asset: str
    denied_by: Said | None
    filters: tuple[str, ...] = ()
    masks: Mapping[str, tuple[str, ...]]
    notes: tuple[Note, ...] = ()


class TableRules:
    """Immutable; thread-safe."""

    def __init__(
        self,
        relation: Relation,
        policies: Iterable[Policy],
        tags: Mapping[str, str],
        *,
        open_by_default: bool,
    ) -> None:
        """`policies` are all of the tenant's, `tags` its classifications by `asset_key`."""
        self.relation = relation
        self._schema, self._table = relation.key
        self._tags = tags
        bears = self._borne()
        about = [
            (policy, scope)
            for policy in policies
            if (scope := _scope(policy)).has_table(self._schema, self._table, bears)
            and policy.kind != "retention"
        ]
        self.policy_chars = sum(len(policy.body) for policy, _ in about)
        """How long the policies are that are about it."""
        # A quarantine is a forbid like others; governance wrote it, and whom it lets through.
        quarantines = [policy for policy, _ in about if policy.kind == "quarantine"]
        access = [*quarantines, *(policy for policy, _ in about if policy.kind == "access")]
        self._access = {
            mode: Access(in_modes(access, MODES[: number + 1]), open_by_default=open_by_default)
            for number, mode in enumerate(MODES)
            if number == 0 or in_modes(access, [mode])
        }
        self._subject = Subject(
            schema=self._schema,
            table=self._table,
            tags=bears,
            classification=tags.get(relation.urn),
            quarantined=bool(in_modes(quarantines, ["enforce"])),
        )
        filters = [policy for policy, _ in about if policy.kind == "row_filter"]
        masks = [(policy, scope) for policy, scope in about if policy.kind == "mask"]
        self._filters = in_modes(filters, ["enforce"])
        self._masks = self._by_column([pair for pair in masks if pair[0].mode == "enforce"])
        self._idle = tuple(self._idle_notes([*filters, *(policy for policy, _ in masks)]))
        self.broken: Said | None = None
        """Why the table cannot be guarded as its policies ask, so that nobody may read it."""
        self.guard = self._guard()
        """What the rewriting puts around it, if anything."""

    def decide(self, reader: Principal, *, origin: str) -> Decision:
        """What holds for this reader."""
        denied = self._access["enforce"].against(reader, self._subject, origin=origin)
        notes = list(self._idle)
        if denied is None:
            notes += self._would_deny(reader, origin)
        return Decision(
            asset=self.relation.urn,
            denied_by=denied or self.broken,
            filters=tuple(policy.policy_id for policy in self._filters),
            masks={
                column: tuple(policy.policy_id for policy in policies)
                for column, policies in self._masks.items()
            },
            notes=tuple(notes),
        )

    def _would_deny(self, reader: Principal, origin: str) -> Iterable[Note]:
        """The first mode in which somebody would deny it tells of it; a weaker one has nothing to add."""
        for mode, access in self._access.items():
            said = None if mode == MODES[0] else access.against(reader, self._subject, origin=origin)
            if said is not None:
                return [Note(mode=mode, policy_id=said.policy_id, reason=f"would deny: {said.reason}")]
        return []

    def _borne(self) -> frozenset[str]:
        """The tags of a table are its own and those of its columns."""
        assets = [self.relation.urn, *(self._column_urn(column) for column in self.relation.columns)]
        return frozenset(tag for asset in assets if (tag := self._tags.get(asset)))

    def _column_urn(self, column: str) -> str:
        return written(Scope("column", self._schema, self._table, column.lower()))

    def _by_column(self, masks: Sequence[tuple[Policy, Scope]]) -> dict[str, list[Policy]]:
        found: dict[str, list[Policy]] = {}
        for column in self.relation.columns:
            policies = [policy for policy, scope in masks if self._masks_column(scope, column)]
            if policies:
                found[column] = policies
        return found

    def _masks_column(self, scope: Scope, column: str) -> bool:
        if scope.covers == "column":
            return scope.column == column.lower()
        if scope.covers == "tag":
            return scope.tag in (self._tags.get(self._column_urn(column)), self._tags.get(self.relation.urn))
        return True

    def _idle_notes(self, policies: Iterable[Policy]) -> Iterable[Note]:
        for policy in policies:
            if policy.mode != "enforce":
                reason = "would filter rows" if policy.kind == "row_filter" else "would mask"
                yield Note(mode=policy.mode, policy_id=policy.policy_id, reason=reason)

    def _guard(self) -> Guard | None:
        if self.relation.missing is not None:
            return None
        filters = [self._made(policy, lambda body: bound(body, self.relation)) for policy in self._filters]
        masks = {column: self._mask(column, policies) for column, policies in self._masks.items()}
        return guard_of(self.relation, filters, masks)

    def _mask(self, column: str, policies: Iterable[Policy]) -> exp.Expr:
        """Of several masks each gets the result of the one before it, by policy id."""
        value = column_of(self.relation, column)
        for policy in policies:
            value = self._made(policy, partial(masked, value=value, column=column))
        return value

    def _made(self, policy: Policy, make: Callable[[exp.Expr], exp.Expr]) -> exp.Expr:
        """Governance has checked the policy; what does not fit all the same denies."""
        try:
            return make(_expression(policy.body))
        except (SqlglotError, TooDeep, RecursionError, BadPolicy) as error:
            line = " ".join(str(error).split("\n")[0].split())[:200]
            self.broken = Said(policy.policy_id, f"it cannot be applied: {line}")
            return exp.false()


def _expression(body: str) -> exp.Expr:
    found = parse_into(exp.Condition, body, DUCKDB)
    if len(found) != 1 or found[0] is None:
        raise BadPolicy("it is not one expression")
    return found[0]


def _scope(policy: Policy) -> Scope:
    """What is about nothing that can be understood is about everything."""
    try:
        return scope_of(policy.scope)
    except InvalidInput:
        return _EVERYTHING
