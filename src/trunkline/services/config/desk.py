"""What people and programs do to the configuration; the command line and the HTTP API both come here."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from trunkline.client import failpoints
from trunkline.client.broadcast.entries import Name
from trunkline.client.store import Store
from trunkline.errors import InvalidInput, Unavailable
from trunkline.services.app import Context
from trunkline.services.config import plans, queries
from trunkline.services.config.changes import Draft, Rules, apply, check
from trunkline.services.config.plans import Settled
from trunkline.services.settings.registry import registry

COMMITTED: Final = "config.committed"
"""The failpoint between a change's commit and its being published."""

Outcome = Literal["changed", "unchanged", "scheduled", "proposed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """What became of a change: its version and event, or the plan that waits for its time or for approval."""

    key: str
    kind: str
    level: str
    scope: str | None
    outcome: Outcome
    version: int | None
    event_id: str | None
    plan_id: str | None


class ConfigDesk:
    """Makes changes, each in a transaction of its own. Thread-safe."""

    def __init__(
        self,
        store: Store,
        rules: Rules,
        *,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
        wake: Callable[[], None] = lambda: None,
        ready: Callable[[], bool] = lambda: True,
    ) -> None:
        """`wake` is called when something was committed. While not `ready` nothing can be changed."""
        self.store = store
        self.rules = rules
        self._wall = wall
        self._wake = wake
        self._ready = ready

    def submit(self, draft: Draft, *, due: datetime | None = None) -> Submitted:
        """Make a change now, or at `due`. Raises `InvalidInput`, `VersionConflict`, `Unavailable`.

        One that needs approval becomes a proposal. A `due` in the past is refused: it was meant for later.
        """
        self._check_ready()
        now = self._wall()
        if due is not None and due < now:
            raise InvalidInput(
                f"{draft.name.key}: {due.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ} is in the past; "
                f"`trunkline config set` without --at changes it now"
            )
        definition = check(draft, self.rules)
        if due is not None or (definition is not None and definition.approval):
            with self.store.write() as tx:
                plan, status = plans.make(tx, draft, self.rules, due=due or now, now=now)
            outcome: Outcome = "proposed" if status is plans.Status.PROPOSED else "scheduled"
            return _submitted(draft.name, outcome, plan_id=plan)
        with self.store.write() as tx:
            made = apply(tx, draft, self.rules, now=now)
        self._committed()
        outcome = "changed" if made.changed else "unchanged"
        return _submitted(draft.name, outcome, version=made.version, event_id=made.event_id)

    def rollback(
        self,
        name: Name,
        to_version: int,
        *,
        actor: str,
        reason: str | None = None,
        expected: int | None = None,
    ) -> Submitted:
        """Set a name to what it was at a version, as a new version. Raises as `submit`."""
        with self.store.read() as tx:
            value = queries.value_at(tx, name, to_version)
        why = reason or f"back to version {to_version}"
        draft = Draft(name=name, value=value, actor=actor, reason=why, expected=expected, origin="rollback")
        return self.submit(draft)

    def approve(self, plan: str, *, actor: str) -> Settled:
        """A second person agrees to a proposal. Raises `InvalidInput` and `PlanClosed`."""
        self._check_ready()
        with self.store.write() as tx:
            settled = plans.approve(tx, plan, self.rules, actor=actor, now=self._wall())
        self._committed()
        return settled

    def cancel(self, plan: str, *, actor: str) -> Settled:
        """Take back what waits. Raises `InvalidInput` and `PlanClosed`."""
        with self.store.write() as tx:
            return plans.cancel(tx, plan, actor=actor, now=self._wall())

    def apply_due(self) -> list[Settled]:
        """Apply the plans whose time has come."""
        with self.store.write() as tx:
            settled = plans.apply_due(tx, self.rules, now=self._wall())
            failpoints.reach("config.due_applied")
        if settled:
            self._committed()
        return settled

    def _committed(self) -> None:
        failpoints.reach(COMMITTED)
        self._wake()

    def _check_ready(self) -> None:
        if not self._ready():
            raise Unavailable(
                "the config service has not read its topic yet and could give a version twice; try again soon"
            )


def desk_of(context: Context, *, ready: Callable[[], bool] = lambda: True) -> ConfigDesk:
    """The desk of a service's context. Raises `InvalidInput` where the catalogue lets it publish nothing."""
    if context.outbox is None:
        raise InvalidInput(f"{context.service} publishes nothing in this catalogue")
    rules = Rules(catalogue=context.catalogue, registry=registry(), outbox=context.outbox)
    return ConfigDesk(context.store, rules, wall=context.wall, wake=context.wake, ready=ready)


def _submitted(
    name: Name,
    outcome: Outcome,
    *,
    version: int | None = None,
    event_id: str | None = None,
    plan_id: str | None = None,
) -> Submitted:
    return Submitted(
        key=name.key,
        kind=name.kind,
        level=name.level,
        scope=name.scope,
        outcome=outcome,
        version=version,
        event_id=event_id,
        plan_id=plan_id,
    )
