"""The configuration as the service works with it: compiled once a change, and never half changed.

A value that cannot be understood, which `config set` would have refused, changes nothing: what was in force
before stays, and the refusal is there to be seen.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, TypeVar

from trunkline.catalogue.names import SYSTEM_TENANT
from trunkline.errors import InvalidInput
from trunkline.services.app import Settings
from trunkline.services.notification.conditions import Matcher
from trunkline.services.settings import notification as known
from trunkline.services.settings.notification import (
    Channel,
    Preference,
    Rule,
    Smtp,
    Template,
)
from trunkline.services.settings.notification_defaults import CHANNELS, RULES, TEMPLATES
from trunkline.services.settings.registry import Definition
from trunkline.services.settings.templating import Template as Jinja

PREFIX: Final = "notification."
DIGEST_HOURS: Final = 24

T = TypeVar("T")


class CompiledRule:
    """A rule, ready for many events. `version` is that of its setting, 0 of a built-in one."""

    __slots__ = ("fires", "group", "key", "name", "resolves", "rule", "version")

    def __init__(self, name: str, rule: Rule, version: int) -> None:
        self.name = name
        self.rule = rule
        self.version = version
        self.fires = Matcher(rule.when)
        self.resolves = None if rule.resolved_by is None else Matcher(rule.resolved_by)
        self.key = Jinja(rule.key)
        self.group = None if rule.group_by is None else Jinja(rule.group_by)


class CompiledTemplate:
    """What a notification says, ready to be rendered."""

    __slots__ = ("html", "subject", "text")

    def __init__(self, template: Template) -> None:
        self.subject = Jinja(template.subject)
        self.text = Jinja(template.text)
        self.html = None if template.html is None else Jinja(template.html, markup=True)


@dataclass(frozen=True, slots=True)
class ChannelInForce:
    """A channel as a tenant sees it; `owner` is the tenant that set it, `system` for everybody's."""

    name: str
    channel: Channel
    owner: str


class RuleSet:
    """The rules of one tenant that are enabled."""

    __slots__ = ("_by_type", "by_name")

    def __init__(self, rules: Mapping[str, CompiledRule]) -> None:
        self.by_name = {name: rule for name, rule in sorted(rules.items()) if rule.rule.enabled}
        self._by_type: dict[str, list[CompiledRule]] = {}
        for rule in self.by_name.values():
            for type_name in rule.fires.types | (rule.resolves.types if rule.resolves else frozenset()):
                self._by_type.setdefault(type_name, []).append(rule)

    def about(self, type_name: str) -> list[CompiledRule]:
        """Those that an event of this type could concern, by name."""
        return self._by_type.get(type_name, [])


@dataclass(frozen=True, slots=True)
class _Compiled:
    value: Any
    version: int
    compiled: Any


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """Everything in force, by tenant (None: everybody) and key. Caches fill as tenants are asked for."""

    entries: Mapping[tuple[str | None, str], _Compiled]
    refused: Mapping[tuple[str | None, str], str]
    rules: dict[str, RuleSet] = field(default_factory=dict)
    channels: dict[str, Mapping[str, ChannelInForce]] = field(default_factory=dict)


_BUILT_IN_RULES: Final = MappingProxyType({name: CompiledRule(name, rule, 0) for name, rule in RULES.items()})
_BUILT_IN_TEMPLATES: Final = MappingProxyType(
    {name: CompiledTemplate(template) for name, template in TEMPLATES.items()}
)


class Configuration:
    """What is in force now. Thread-safe: readers take one snapshot, `refresh` puts another in its place."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._now = _Snapshot({}, {})
        self.refresh()

    def refresh(self) -> None:
        """Take over what has changed; call it after every change of the settings."""
        with self._lock:
            before = self._now
            entries: dict[tuple[str | None, str], _Compiled] = {}
            refused: dict[tuple[str | None, str], str] = {}
            for at, resolution in self._settings.under(PREFIX).items():
                last = before.entries.get(at)
                version = resolution.version or 0
                if last is not None and last.version == version and last.value == resolution.value:
                    entries[at] = last
                    continue
                try:
                    compiled = _compile(at[1], resolution.value, version)
                    entries[at] = _Compiled(resolution.value, version, compiled)
                except InvalidInput as error:
                    refused[at] = str(error)
                    if last is not None:
                        entries[at] = last
            self._now = _Snapshot(entries, refused)

    @property
    def refused(self) -> Mapping[tuple[str | None, str], str]:
        """What was set and could not be understood, with the reason, by tenant and key."""
        return self._now.refused

    def rules(self, tenant: str) -> RuleSet:
        """The tenant's rules: its own, those of everybody, those that come with the product."""
        now = self._now
        found = now.rules.get(tenant)
        if found is None:
            everybodys, own = (_own(now, known.RULE, owner) for owner in (None, tenant))
            found = RuleSet({**_BUILT_IN_RULES, **everybodys, **own})
            now.rules[tenant] = found
        return found

    def rule_names(self, tenant: str) -> list[str]:
        """Of all its rules, disabled ones too; for `system` those of every tenant."""
        owners = {owner for owner, _ in self._now.entries} if tenant == SYSTEM_TENANT else {None, tenant}
        own = (name for owner in owners for name in _own(self._now, known.RULE, owner))
        return sorted({*RULES, *own})

    def channels(self, tenant: str) -> Mapping[str, ChannelInForce]:
        """The tenant's channels that are enabled, by name."""
        now = self._now
        found = now.channels.get(tenant)
        if found is None:
            every = {name: ChannelInForce(name, one, SYSTEM_TENANT) for name, one in CHANNELS.items()}
            for owner in (None, tenant):
                own = _own(now, known.CHANNEL, owner)
                every.update(
                    {name: ChannelInForce(name, one, owner or SYSTEM_TENANT) for name, one in own.items()}
                )
            found = {name: one for name, one in sorted(every.items()) if one.channel.enabled}
            now.channels[tenant] = found
        return found

    def template(self, tenant: str, name: str) -> CompiledTemplate | None:
        """The template of this name that the tenant sees."""
        for owner in (tenant, None):
            entry = self._now.entries.get((owner, known.TEMPLATE.pattern.replace("*", name)))
            if entry is not None:
                found: CompiledTemplate = entry.compiled
                return found
        return _BUILT_IN_TEMPLATES.get(name)

    def preferences(self, tenant: str) -> tuple[Preference, ...]:
        """What holds for the tenant's users who chose nothing."""
        return self._single(known.PREFERENCES, tenant, ())

    def digest_hours(self, tenant: str) -> int:
        """How much time a digest covers."""
        return self._single(known.DIGEST_HOURS, tenant, DIGEST_HOURS)

    @property
    def smtp(self) -> Smtp | None:
        """The mail server, if one is set."""
        entry = self._now.entries.get((None, known.SMTP.pattern))
        return None if entry is None else entry.compiled

    @property
    def allowed_networks(self) -> tuple[str, ...]:
        """Private networks that webhooks may go to."""
        return self._single(known.ALLOWED_NETWORKS, None, ())

    @property
    def public_url(self) -> str | None:
        """Where the API is for users, without a slash at the end."""
        entry = self._now.entries.get((None, known.PUBLIC_URL.pattern))
        return None if entry is None else entry.compiled.rstrip("/")

    @property
    def history_days(self) -> int:
        """How long history is kept."""
        return self._single(known.HISTORY, None, known.HISTORY_DAYS)

    def _single(self, definition: Definition[T], tenant: str | None, default: T) -> T:
        for owner in (tenant, None):
            entry = self._now.entries.get((owner, definition.pattern))
            if entry is not None:
                value: T = entry.compiled
                return value
        return default


def _compile(key: str, value: Any, version: int) -> Any:
    """Raises `InvalidInput`."""
    for definition in known.DEFINITIONS:
        if definition.covers(key):
            read = definition.read(key, value)
            if isinstance(read, Rule):
                return CompiledRule(key.rpartition(".")[2], read, version)
            return CompiledTemplate(read) if isinstance(read, Template) else read
    raise InvalidInput(f"{key} is no setting of the notification service")


def _own(now: _Snapshot, definition: Definition[Any], owner: str | None) -> dict[str, Any]:
    return {
        key.rpartition(".")[2]: entry.compiled
        for (whose, key), entry in now.entries.items()
        if whose == owner and definition.covers(key)
    }
