"""Every scope of a token that some service knows; whoever issues a token refuses the others."""

from collections.abc import Iterable
from typing import Final

from trunkline.catalogue.model import unknown
from trunkline.catalogue.names import SYSTEM_TENANT
from trunkline.errors import InvalidInput

OPERATOR: Final = "operator"
"""The scope of those who run the platform: they may change what belongs to everybody."""

OF_TENANTS: Final = frozenset(
    {
        "agents:write",
        "auditor",
        "config:write",
        "iam:admin",
        "models:write",
        "notifications:manage",
        "pipelines:write",
        "policy:write",
        "quality:write",
    }
)
OF_PLATFORM: Final = frozenset({OPERATOR, "policy:enforce"})
"""Good for nothing in a token of another tenant than `SYSTEM_TENANT`."""

PREFIXES: Final = ("team:", "role:", "origin:")
"""Begin scopes that name something of a tenant's own, which no list can have."""


def check_scopes(scopes: Iterable[str], *, tenant: str) -> None:
    """Raise `InvalidInput` for a scope that no service knows, or that does nothing for the tenant."""
    for scope in scopes:
        if scope in OF_PLATFORM and tenant != SYSTEM_TENANT:
            raise InvalidInput(f"scope {scope} is only good for the tenant {SYSTEM_TENANT}, not for {tenant}")
        named = scope.startswith(PREFIXES) and scope not in PREFIXES and not any(map(str.isspace, scope))
        if not named and scope not in OF_TENANTS | OF_PLATFORM:
            known = (*OF_TENANTS, *OF_PLATFORM, *(f"{prefix}NAME" for prefix in PREFIXES))
            raise unknown("scope", scope, sorted(known))
