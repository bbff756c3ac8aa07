"""Who may see and change what over HTTP: operators everything, a tenant its own level."""

from typing import Final

from trunkline.client.broadcast.entries import Name
from trunkline.services.config import queries
from trunkline.services.config.desk import ConfigDesk
from trunkline.services.config.queries import Wanted
from trunkline.services.kit.api import Caller, Problem, Reading

WRITE: Final = "config:write"
"""The scope with which a tenant's own level may be changed."""


def writable(desk: ConfigDesk, who: Caller, name: Name) -> Name:
    """The name, if the caller may change it. Raises `Problem` 403."""
    if who.is_operator:
        return name
    if WRITE not in who.scopes:
        raise Problem(403, f"this needs the scope {WRITE}")
    if name.level != "tenant" or name.scope not in (None, who.tenant):
        raise Problem(403, f"a token of {who.tenant} can change the level tenant of {who.tenant} only")
    definition = desk.rules.registry.find(name.key) if name.kind == "value" else None
    if definition is not None and not definition.self_service:
        raise Problem(403, f"{name.key} is set by an operator only")
    return name._replace(scope=who.tenant)


def visible(who: Caller, wanted: Wanted) -> Wanted:
    """What is asked for, as far as the caller may see it: a tenant its own level."""
    if who.is_operator:
        return wanted
    return Wanted(kind=wanted.kind, level="tenant", scope=who.tenant, key=wanted.key, prefix=wanted.prefix)


def whose(who: Caller, tenant: str | None) -> str | None:
    """For which tenant to look up: an operator says, a tenant is itself. Raises `Problem` 403."""
    if who.is_operator:
        return tenant
    if tenant not in (None, who.tenant):
        raise Problem(403, f"a token of {who.tenant} resolves for {who.tenant}")
    return who.tenant


def require_plan(desk: ConfigDesk, who: Caller, at: Reading, plan_id: str) -> None:
    """Raise `Problem`: 404 for a plan that the caller cannot see, 403 for one it may not touch."""
    found = queries.plan(at.tx, plan_id)
    mine = found is not None and found.level == "tenant" and found.scope == who.tenant
    if found is None or not (who.is_operator or mine):
        raise Problem(404, f"there is no plan {plan_id[:80]!r}")
    writable(desk, who, Name(found.kind, found.level, found.scope, found.key))
