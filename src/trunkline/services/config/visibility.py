"""What a tenant may see of what is not its own: the values that hold for it, and nothing else. Pure."""

from dataclasses import replace

from trunkline.services.config.views import ChangeView, EntryView, Resolved
from trunkline.services.settings.registry import Registry


def concerns_tenants(registry: Registry, key: str) -> bool:
    """Whether a setting can hold for one tenant. Where mail goes out, for instance, cannot."""
    definition = registry.find(key)
    return definition is None or "tenant" in definition.levels


def resolved_for_tenant(found: Resolved) -> Resolved:
    """Without who has set what on the levels that are not the tenant's."""
    return replace(found, levels=[_entry(entry) for entry in found.levels])


def change_for_tenant(registry: Registry, change: ChangeView) -> ChangeView | None:
    """A change as a tenant sees it: its own as it is, others without who and why, or None."""
    if change.level == "tenant":
        return change
    if not concerns_tenants(registry, change.key):
        return None
    return replace(change, actor="", reason=None)


def _entry(entry: EntryView) -> EntryView:
    return entry if entry.level == "tenant" else replace(entry, updated_by=None)
