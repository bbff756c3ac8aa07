"""Config: the entries and how they came about."""

import random
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from trunkline.catalogue.events import Event
from trunkline.catalogue.names import SYSTEM_TENANT, TenantId
from trunkline.client.broadcast.entries import FlagRule, Name
from trunkline.client.broadcast.snapshot import snapshot_events
from trunkline.client.broadcast.state import State
from trunkline.client.broadcast.writing import event_of, tenant_of
from trunkline.codec import Envelope, derive_id, new_envelope
from trunkline.services.config.state import state_digest
from trunkline.testing.suite.case import Case
from trunkline.testing.suite.streams import START, STEP, TENANTS

CHANGES: Final = 900
SNAPSHOT_EVERY: Final = 150


def _events(seed: int) -> Sequence[Envelope[Event]]:
    """Changes of a few names on every level; now and then everything is repeated.

    What the platform's generated life has of them fits into a batch a partition.
    """
    rng = random.Random(seed)  # noqa: S311 - the same events for the same seed
    versions: Counter[Name] = Counter()
    state = State()
    events: list[Envelope[Event]] = []

    def tell(event: Event, tenant: TenantId) -> None:
        number = len(events)
        envelope = new_envelope(
            event,
            tenant=tenant,
            source="/config-service",
            id=derive_id("suite-config", str(seed), str(number)),
            time=START + number * STEP,
        )
        state.apply(envelope)
        events.append(envelope)

    for number in range(1, CHANGES + 1):
        name = _name(rng)
        versions[name] += 1
        change = event_of(name, _value(name, rng), version=versions[name], actor="ana", reason=None)
        tell(change, tenant_of(name))
        if number % SNAPSHOT_EVERY == 0:
            for whose in (SYSTEM_TENANT, *TENANTS):
                # Of each tenant by itself: the suite wants to know what there would be without one of them.
                mine = {name: entry for name, entry in state.entries.items() if tenant_of(name) == whose}
                for part in snapshot_events(mine, snapshot_id=f"snap-{number}", version=number):
                    tell(part, whose)
    return events


def _name(rng: random.Random) -> Name:
    key, tenant = f"export.k{rng.randrange(5)}", rng.choice(TENANTS)
    return rng.choice(
        [
            Name("value", "tenant", tenant, key),
            Name("flag", "tenant", tenant, key),
            Name("value", "global", None, key),
            Name("value", "service", "query-engine", key),
            Name("flag", "global", None, key),
        ]
    )


def _value(name: Name, rng: random.Random) -> Any:
    if rng.random() < 0.2:
        return msgspec.UNSET
    if name.kind == "flag":
        return FlagRule(enabled=rng.random() < 0.5, rollout_percent=rng.randrange(101), tiers=("gold",))
    return rng.choice([None, rng.randrange(100), "text", [1, {"a": 1.5}]])


CASE: Final = Case(
    service="config-service",
    digest=state_digest,
    events=_events,
    keeps={"outbox_event": "says that the tenant's settings are unset, and goes when it is published"},
)
