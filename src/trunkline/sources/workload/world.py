"""What the generated platform remembers: its tenants' people, versions and usage."""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal, TypeAlias

from trunkline.catalogue.names import TenantId
from trunkline.sources.workload.queries import MeasuredQuery

Tier: TypeAlias = Literal["free", "starter", "professional", "enterprise"]

TIERS: Final[tuple[Tier, ...]] = ("free", "starter", "professional", "enterprise")
REGIONS: Final = ("eu-west-1", "eu-central-1", "us-east-1", "ap-southeast-2")
TABLES: Final = ("customer", "lineitem", "nation", "orders", "part", "supplier")
"""The tables of TPC-H that policies and people name."""

USERS_PER_TENANT: Final = 12

LIMITS: Final[dict[str, dict[Tier, int]]] = {
    "QUERY_EXECUTIONS": {"free": 50, "starter": 500, "professional": 5_000, "enterprise": 50_000},
    "LLM_TOKENS": {"free": 50_000, "starter": 500_000, "professional": 5_000_000, "enterprise": 50_000_000},
}
UNITS: Final = {"QUERY_EXECUTIONS": "queries", "LLM_TOKENS": "tokens"}
LEVELS_PERCENT: Final = (50, 80, 100)


@dataclass(slots=True)
class TenantState:
    """One tenant, as its events have told so far."""

    id: TenantId
    tier: Tier
    region: str
    users: tuple[str, ...]
    suspended: bool = False
    usage: Counter[tuple[str, str]] = field(default_factory=Counter)
    reached: set[tuple[str, str, int]] = field(default_factory=set)
    versions: Counter[str] = field(default_factory=Counter)
    settings: dict[str, int] = field(default_factory=dict)
    policy_revision: int = 0
    policies: dict[str, int] = field(default_factory=dict)

    def next_version(self, of: str) -> int:
        """Versions of one thing count from 1 without gaps."""
        self.versions[of] += 1
        return self.versions[of]

    def use(self, meter: str, period: str, quantity: int) -> tuple[int, int, list[int]]:
        """Books usage: the total, the limit, and the levels (percent) first reached in the period.

        A change of tier moves the limit; a level that was reached before is not reached again.
        """
        self.usage[meter, period] += quantity
        used, limit = self.usage[meter, period], LIMITS[meter][self.tier]
        reached = [
            level
            for level in LEVELS_PERCENT
            if used * 100 >= level * limit and (meter, period, level) not in self.reached
        ]
        self.reached.update((meter, period, level) for level in reached)
        return used, limit, reached


class World:
    """The state that stories share. All follows from seed, tenants, clock and queries."""

    def __init__(
        self,
        seed: int,
        tenants: Sequence[TenantId],
        *,
        clock: Callable[[], datetime],
        queries: Sequence[MeasuredQuery],
    ) -> None:
        self.rng = random.Random(seed)  # noqa: S311 - repeatable input, nothing secret
        self.now = clock
        self.tenants = [self._tenant(tenant) for tenant in tenants]
        self._queries = queries
        self._next_query = 0
        self._numbers: Counter[str] = Counter()

    def number(self, kind: str) -> str:
        """A fresh identifier, for instance `q-000012`."""
        self._numbers[kind] += 1
        return f"{kind}-{self._numbers[kind]:06d}"

    def query(self) -> MeasuredQuery:
        """The next measured execution, beginning again after the last."""
        measured = self._queries[self._next_query % len(self._queries)]
        self._next_query += 1
        return measured

    def period(self) -> str:
        """The current billing month."""
        return self.now().strftime("%Y-%m")

    def previous_period(self) -> str:
        """The billing month before the current one."""
        return (self.now().replace(day=1) - timedelta(days=1)).strftime("%Y-%m")

    def _tenant(self, tenant: TenantId) -> TenantState:
        users = tuple(f"u-{tenant}-{number}" for number in range(1, USERS_PER_TENANT + 1))
        return TenantState(tenant, self.rng.choice(TIERS), self.rng.choice(REGIONS), users)
