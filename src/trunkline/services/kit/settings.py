"""The configuration at one moment, for what runs without following it: replays, commands, tests."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from trunkline.client.broadcast.entries import Reason, Resolution
from trunkline.client.broadcast.state import EMPTY, View


class FixedSettings:
    """`services.app.Settings` on a view that does not change."""

    def __init__(self, view: View = EMPTY, *, service: str = "", environment: str | None = None) -> None:
        self._view = view
        self._service = service
        self._environment = environment

    def resolve(self, key: str, *, tenant: str | None = None, default: Any = None) -> Resolution:
        """The value of a setting for a tenant, else for the service, its environment, or everybody."""
        found = self._view.value(key, tenant=tenant, service=self._service, environment=self._environment)
        return found or Resolution(default, None, None, Reason.DEFAULT)

    def flag(self, key: str, *, tenant: str, tier: str | None = None, default: bool = False) -> Resolution:
        """Whether a feature flag is on for a tenant."""
        found = self._view.flag(key, tenant=tenant, tier=tier, now=datetime.now(UTC))
        return found or Resolution(default, None, None, Reason.DEFAULT)

    def under(self, prefix: str) -> Mapping[tuple[str | None, str], Resolution]:
        """Every value in force whose key begins so, by tenant and key."""
        return self._view.under(prefix, service=self._service, environment=self._environment)
