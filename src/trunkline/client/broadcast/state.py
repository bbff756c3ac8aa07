"""The state that config events add up to: the highest version of every name. Sans-IO.

A snapshot takes effect when all its parts are there and its digest fits, entry by entry under the same rule.
Readers get a `View`, which never changes; a new one replaces it after every batch.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from trunkline.catalogue.events import Event
from trunkline.catalogue.events.config import ConfigSnapshotPublished, Level
from trunkline.client.broadcast.entries import (
    Change,
    Entry,
    FlagRule,
    Name,
    Reason,
    Rejected,
    Resolution,
    change_listed,
    change_of,
    digest_text,
    is_on,
)
from trunkline.codec import Envelope

PARTS_MAX: Final = 1_000
"""Of one snapshot: half a gigabyte of settings."""

OPEN_SNAPSHOTS_MAX: Final = 16
"""How many incomplete snapshots are kept; a publisher that died half-way leaves one."""


class View:
    """The settings in force at one moment. Immutable, so any thread may look things up."""

    __slots__ = ("_flags", "_values", "digest")

    def __init__(
        self,
        values: Mapping[tuple[Level, str | None, str], Resolution],
        flags: Mapping[tuple[str | None, str], tuple[FlagRule, int]],
        digest: str,
    ) -> None:
        self._values = values
        self._flags = flags
        self.digest = digest

    def __len__(self) -> int:
        """How many values and flags are set."""
        return len(self._values) + len(self._flags)

    def value(
        self,
        key: str,
        *,
        tenant: str | None = None,
        service: str | None = None,
        environment: str | None = None,
    ) -> Resolution | None:
        """What is set for these: the tenant's, else the service's, the environment's, the global value."""
        get = self._values.get
        if tenant is not None and (found := get(("tenant", tenant, key))) is not None:
            return found
        if service is not None and (found := get(("service", service, key))) is not None:
            return found
        if environment is not None and (found := get(("environment", environment, key))) is not None:
            return found
        return get(("global", None, key))

    def under(
        self, prefix: str, *, service: str | None = None, environment: str | None = None
    ) -> dict[tuple[str | None, str], Resolution]:
        """Every value whose key begins so, by tenant and key; None for what holds for every tenant.

        Of what holds for all, the service's goes before the environment's, and that before the global one.
        """
        found: dict[tuple[str | None, str], Resolution] = {}
        for (level, scope, key), value in self._values.items():
            if not key.startswith(prefix):
                continue
            if level == "tenant":
                found[scope, key] = value
            elif (wide := self.value(key, service=service, environment=environment)) is not None:
                found[None, key] = wide
        return found

    def flag(self, key: str, *, tenant: str, tier: str | None, now: datetime) -> Resolution | None:
        """Whether a flag is on for a tenant; one of the tenant's own goes before everybody's."""
        level: Level = "tenant"
        found = self._flags.get((tenant, key))
        if found is None:
            level, found = "global", self._flags.get((None, key))
        if found is None:
            return None
        rule, version = found
        on = is_on(rule, key=key, tenant=tenant, tier=tier, now=now)
        return Resolution(on, level, version, Reason.FOUND)


EMPTY: Final = View({}, {}, digest_text(0))


@dataclass(slots=True)
class _Parts:
    """A snapshot that is not whole yet."""

    parts: int
    digest: str
    entries: int
    there: dict[int, list[Change]] = field(default_factory=dict)


class State:
    """Applies events in any order. Not thread-safe; `view` is what others may have."""

    def __init__(self) -> None:
        self._entries: dict[Name, Entry] = {}
        self._values: dict[tuple[Level, str | None, str], Resolution] = {}
        self._flags: dict[tuple[str | None, str], tuple[FlagRule, int]] = {}
        self._total = 0
        self._open: dict[str, _Parts] = {}
        self._view: View | None = EMPTY

    def __len__(self) -> int:
        """How many names are on record, those that are unset included."""
        return len(self._entries)

    @property
    def digest(self) -> str:
        """The same for the same entries, whatever brought them; 64 hexadecimal digits."""
        return digest_text(self._total)

    @property
    def entries(self) -> Mapping[Name, Entry]:
        """Everything on record; not to be kept across `apply`."""
        return self._entries

    def apply(self, envelope: Envelope[Event]) -> None:
        """Take in one event. Raises `Rejected`, with nothing changed."""
        if isinstance(envelope.data, ConfigSnapshotPublished):
            self._take_part(envelope, envelope.data)
        else:
            self._merge([change_of(envelope)])

    def restore(self, changes: Iterable[Change]) -> None:
        """Take in entries that were kept elsewhere."""
        self._merge(changes)

    def view(self) -> View:
        """The settings as they are now; the same object until something has changed."""
        if self._view is None:
            self._view = View(self._values.copy(), self._flags.copy(), self.digest)
        return self._view

    def _merge(self, changes: Iterable[Change]) -> None:
        for name, entry in changes:
            present = self._entries.get(name)
            if present is not None:
                if not entry.beats(present):
                    continue
                self._total -= present.digest
            self._entries[name] = entry
            self._total += entry.digest
            self._show(name, entry)
            self._view = None

    def _show(self, name: Name, entry: Entry) -> None:
        if name.kind == "flag":
            flag = (name.scope, name.key)
            if entry.in_force:
                self._flags[flag] = (entry.value, entry.version)
            else:
                self._flags.pop(flag, None)
            return
        value = (name.level, name.scope, name.key)
        if entry.in_force:
            self._values[value] = Resolution(entry.value, name.level, entry.version, Reason.FOUND)
        else:
            self._values.pop(value, None)

    def _take_part(self, envelope: Envelope[Event], part: ConfigSnapshotPublished) -> None:
        check_part(part)
        changes = [change_listed(item, envelope.tenantid) for item in part.values]
        of = f"{envelope.tenantid}/{part.snapshot_id}/{part.version}"
        open_one = self._open.setdefault(of, _Parts(part.parts, part.digest, part.entries))
        open_one.there[part.part] = changes
        if len(open_one.there) < open_one.parts:
            if len(self._open) > OPEN_SNAPSHOTS_MAX:
                self._open.pop(next(iter(self._open)))
            return
        del self._open[of]
        whole = [change for changes in open_one.there.values() for change in changes]
        check_whole(part, whole)
        self._merge(whole)


def check_part(part: ConfigSnapshotPublished) -> None:
    """Raise `Rejected` for a part that no snapshot can have."""
    if part.part > part.parts or part.parts > PARTS_MAX:
        raise Rejected(
            "invalid_part",
            f"part {part.part} of {part.parts} of snapshot {part.snapshot_id}, at most {PARTS_MAX}",
        )


def check_whole(part: ConfigSnapshotPublished, changes: list[Change]) -> None:
    """Raise `Rejected` unless these are all the entries of the snapshot that the part is of."""
    digest = digest_text(sum(entry.digest for _, entry in changes))
    if len(changes) != part.entries or digest != part.digest:
        raise Rejected(
            "damaged_snapshot",
            f"snapshot {part.snapshot_id} has {len(changes)} entries of digest {digest[:12]}…, and says "
            f"{part.entries} of {part.digest[:12]}…; nothing of it was applied",
        )
