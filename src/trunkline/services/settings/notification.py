"""What can be configured of notifications: rules, templates, channels, preferences, and how mail goes out.

Rules, templates and channels are set for everybody or for one tenant, whose own one goes before everybody's
of the same name. What comes with the product is in `notification_defaults` and is replaced the same way.
"""

import ipaddress
import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, TypeAlias
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, field

from trunkline.catalogue.events import EVENT_TYPES, EventDeclaration
from trunkline.catalogue.events.base import EventClass
from trunkline.catalogue.events.fields import Identifier, Title, Word, whole
from trunkline.catalogue.model import near
from trunkline.services.settings.registry import LEVELS, Definition
from trunkline.services.settings.templating import Template as Jinja
from trunkline.services.settings.templating import TemplateFailed

TOPICS: Final = frozenset(
    {"tenant.lifecycle.events", "pipeline.job.events", "data.quality.events", "billing.usage.events"}
)
"""What the contract gives to the notification service."""

TYPES: Final[Mapping[str, EventDeclaration]] = {
    name: declaration for name, declaration in EVENT_TYPES.items() if declaration.topic in TOPICS
}

DAY_S: Final = 86_400
WEEK_S: Final = 7 * DAY_S
HISTORY_DAYS: Final = 90

Severity: TypeAlias = Literal["info", "warning", "error", "critical"]
SEVERITIES: Final[tuple[Severity, ...]] = ("info", "warning", "error", "critical")
"""From the mildest on."""

Mode: TypeAlias = Literal["off", "immediate", "digest"]

Name: TypeAlias = Annotated[str, Meta(pattern=whole("[a-z][a-z0-9_]*(?:-[a-z0-9_]+)*"), max_length=64)]
"""The last part of a key: of a rule, a template, a channel."""

SecretRef: TypeAlias = Annotated[
    str, Meta(pattern=whole("secret:[a-z][a-z0-9_-]{0,63}|file:/.+"), max_length=512)
]
"""`secret:NAME`, kept sealed by the service, or `file:/PATH` on its machine, for channels of everybody."""

Scalar: TypeAlias = str | int | float | bool | None


class Test(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What must hold of a field; all that is given. Numbers, and decimal texts, compare as numbers."""

    eq: Scalar | msgspec.UnsetType = msgspec.UNSET
    ne: Scalar | msgspec.UnsetType = msgspec.UNSET
    one_of: tuple[Scalar, ...] | None = None
    none_of: tuple[Scalar, ...] | None = None
    gt: float | None = None
    ge: float | None = None
    lt: float | None = None
    le: float | None = None
    prefix: str | None = None


class Condition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which events: one of these types, and every field as wanted.

    A type may end in `*`. A field is wanted to be a value, one of a list of values, or to pass a `Test`.
    """

    types: Annotated[tuple[str, ...], Meta(min_length=1, max_length=50)]
    where: Annotated[dict[str, Scalar | tuple[Scalar, ...] | Test], Meta(max_length=20)] = field(
        default_factory=dict
    )


class Inhibitor(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An open incident of that rule, equal in these fields of its event, keeps this rule silent."""

    rule: Name
    equal: tuple[Identifier, ...] = ()


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which events open or close an incident, and how those who should know are told.

    Events with the same rendered `key` are of one incident. Incidents with the same rendered `group_by` are
    told of together: one notification for each `group_interval_s` of event time, sent `group_wait_s` after
    the first of them arrived. An incident that stays open is told of again after `repeat_s`, 0 for never.
    """

    title: Title
    when: Condition
    key: Annotated[str, Meta(min_length=1, max_length=1_000)]
    resolved_by: Condition | None = None
    severity: Severity = "warning"
    severity_from: Identifier | None = None
    """A field of the event that has the severity, instead."""
    category: Word = "general"
    group_by: Annotated[str, Meta(max_length=1_000)] | None = None
    group_wait_s: Annotated[float, Meta(ge=0, le=3_600)] = 0.0
    group_interval_s: Annotated[int, Meta(ge=1, le=DAY_S)] = 300
    repeat_s: Annotated[int, Meta(ge=0, le=WEEK_S)] = 4 * 3_600
    max_age_s: Annotated[int, Meta(ge=1, le=WEEK_S)] = DAY_S
    inhibited_by: Annotated[tuple[Inhibitor, ...], Meta(max_length=10)] = ()
    template: Name = "default"
    channels: Annotated[tuple[Name, ...], Meta(max_length=20)] = ("inbox",)
    notify_resolved: bool = True
    while_suspended: bool = False
    enabled: bool = True


class Template(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a notification says. `html` is for e-mail alone."""

    subject: Annotated[str, Meta(min_length=1, max_length=1_000)]
    text: Annotated[str, Meta(min_length=1)]
    html: str | None = None


class Takes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a channel gets besides what rules send to it by name. Empty categories mean all."""

    severity_at_least: Severity = "info"
    categories: tuple[Word, ...] = ()


class _Channel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    takes: Takes | None = None
    enabled: bool = True


class Webhook(_Channel, frozen=True, kw_only=True, tag="webhook"):
    """Standard Webhooks to a URL. Of two secrets the first is the newer; both sign, for rotation."""

    url: Annotated[str, Meta(min_length=8, max_length=2_048)]
    secrets: Annotated[tuple[SecretRef, ...], Meta(min_length=1, max_length=2)]


class EmailChannel(_Channel, frozen=True, kw_only=True, tag="email"):
    """Mail to users, whose addresses the service keeps sealed."""

    users: Annotated[tuple[Identifier, ...], Meta(min_length=1, max_length=500)]


class InboxChannel(_Channel, frozen=True, kw_only=True, tag="inbox"):
    """The inbox of the product: of these users, or one that all of the tenant see."""

    users: Annotated[tuple[Identifier, ...], Meta(max_length=500)] = ()


class FileChannel(_Channel, frozen=True, kw_only=True, tag="file"):
    """JSON lines in a file of the channel's name under the service's directory."""


class AppriseChannel(_Channel, frozen=True, kw_only=True, tag="apprise"):
    """Whatever Apprise offers. Its URLs hold secrets, so they are references."""

    urls: Annotated[tuple[SecretRef, ...], Meta(min_length=1, max_length=10)]


Channel: TypeAlias = Webhook | EmailChannel | InboxChannel | FileChannel | AppriseChannel


class Preference(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How users of a tenant hear of a category on a channel unless they chose otherwise; None is any."""

    mode: Mode
    category: Word | None = None
    channel: Name | None = None


class Smtp(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The mail server that takes our mail."""

    host: Identifier
    sender: Annotated[str, Meta(pattern=whole("[^@\\s]+@[^@\\s]+"), max_length=320)]
    port: Annotated[int, Meta(ge=1, le=65_535)] = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    username: Identifier | None = None
    password: SecretRef | None = None


def types_of(condition: Condition) -> list[str]:
    """The event types that a condition is about."""
    found: list[str] = []
    for pattern in condition.types:
        if pattern.endswith("*"):
            found += [name for name in TYPES if name.startswith(pattern[:-1])]
        elif pattern in TYPES:
            found.append(pattern)
    return found


def _check_rule(rule: Rule, _key: str) -> None:
    conditions = [rule.when, *([rule.resolved_by] if rule.resolved_by else [])]
    for condition in conditions:
        _check_condition(condition)
    fires, resolves = (set(types_of(condition)) for condition in (rule.when, rule.resolved_by or rule.when))
    if rule.resolved_by is not None and (both := fires & resolves) and not rule.resolved_by.where:
        raise ValueError(f"{min(both)} opens and closes the incident; tell them apart with `where`")
    for condition in conditions:
        for name in types_of(condition):
            _render_example("key", rule.key, name)
    for name in fires:
        if rule.group_by is not None:
            _render_example("group_by", rule.group_by, name)
        if rule.severity_from is not None:
            _check_field(TYPES[name].cls, rule.severity_from, "severity_from", name)
    for inhibitor in rule.inhibited_by:
        for equal in inhibitor.equal:
            if not any(_has_field(TYPES[name].cls, equal) for name in fires):
                raise ValueError(f"inhibited_by {inhibitor.rule}: no event of this rule has {equal}")


def _check_condition(condition: Condition) -> None:
    for pattern in condition.types:
        if not types_of(Condition(types=(pattern,))):
            raise ValueError(
                f"{pattern!r} is no event that the notification service gets{near(pattern, TYPES)}"
            )
    names = types_of(condition)
    for path in condition.where:
        if not any(_has_field(TYPES[name].cls, path) for name in names):
            fields = sorted({one for name in names for one in TYPES[name].cls.__struct_fields__})
            raise ValueError(
                f"where {path!r}: no such field{near(path, fields)}; there are {', '.join(fields)}"
            )


def _check_field(cls: EventClass, path: str, what: str, name: str) -> None:
    if not _has_field(cls, path):
        raise ValueError(f"{what} {path!r}: {name} has no such field")


def _has_field(cls: EventClass, path: str) -> bool:
    return path.partition(".")[0] in cls.__struct_fields__


def _render_example(what: str, text: str, name: str) -> None:
    try:
        Jinja(text).render({"data": example(TYPES[name]), "type": name, "tenant": "acme"})
    except TemplateFailed as error:
        raise ValueError(f"{what} does not fit {name}: {error}") from error


def example(declaration: EventDeclaration) -> dict[str, Any]:
    """The fields of a type's example event, those with defaults too."""
    event = msgspec.convert(dict(declaration.example), declaration.cls)
    builtins = msgspec.to_builtins(event)
    whole_event = {name: getattr(event, name) for name in event.__struct_fields__}
    return {name: builtins.get(name, msgspec.to_builtins(value)) for name, value in whole_event.items()}


def _check_template(template: Template, _key: str) -> None:
    parts = [Jinja(template.subject), Jinja(template.text)]
    parts += [Jinja(template.html, markup=True)] if template.html is not None else []
    failures = []
    for name, declaration in TYPES.items():
        item = {"type": name, "time": "2026-11-23T07:00:00Z", "key": "k", "severity": "error", "summary": "-"}
        values = {**sample_values(), "items": [{**item, "data": example(declaration)}]}
        try:
            for part in parts:
                part.render(values)
        except TemplateFailed as error:
            failures.append(f"{name}: {error}")
        else:
            return
    raise ValueError(f"it fits no event; {failures[0]}")


def sample_values() -> dict[str, Any]:
    """What a template can speak of beside its `items`, each with `type`, `time`, `key`, `data`, …"""
    return {
        "id": "00000000-0000-5000-8000-000000000000",
        "kind": "alert",
        "tenant": "acme",
        "rule": "rule",
        "title": "Title",
        "severity": "error",
        "category": "general",
        "count": 1,
        "group": "k",
    }


def _check_channel(channel: Channel, _key: str) -> None:
    if isinstance(channel, Webhook):
        check_url(channel.url)


def check_url(url: str) -> None:
    """Raise `ValueError` for what is no http(s) URL to a host, without a password in it."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"url {url!r}: write https://HOST/PATH")
    if parts.username is not None or parts.password is not None:
        raise ValueError("url: no user or password in it; signatures say who sends")
    if re.search(r"[\x00-\x20\x7f]", url) or not url.isascii():
        raise ValueError("url: blanks and other than ASCII characters have to be percent-encoded")
    if parts.fragment:
        raise ValueError("url: a fragment is never sent; leave it out")
    try:
        _ = parts.port
    except ValueError:
        raise ValueError(f"url {url!r}: that port cannot be") from None


def _check_networks(networks: tuple[str, ...], _key: str) -> None:
    for network in networks:
        ipaddress.ip_network(network)


def _check_public_url(url: str, _key: str) -> None:
    check_url(url)


OPERATOR_LEVELS: Final = LEVELS[:-1]
"""What concerns everybody is not for a tenant to set."""

RULE: Final = Definition(
    "notification.rules.*",
    Rule,
    levels=LEVELS,
    self_service=True,
    title="Which events to tell of, and whom",
    check=_check_rule,
)
TEMPLATE: Final = Definition(
    "notification.templates.*",
    Template,
    levels=LEVELS,
    self_service=True,
    title="What a notification says",
    check=_check_template,
)
CHANNEL: Final[Definition[Channel]] = Definition(
    "notification.channels.*",
    Channel,
    levels=LEVELS,
    self_service=True,
    title="Where notifications go",
    check=_check_channel,
)
PREFERENCES: Final[Definition[tuple[Preference, ...]]] = Definition(
    "notification.preferences",
    Annotated[tuple[Preference, ...], Meta(max_length=100)],
    levels=LEVELS,
    self_service=True,
    title="How users hear of what, unless they choose otherwise; the first that fits counts",
)
DIGEST_HOURS: Final[Definition[int]] = Definition(
    "notification.digest_hours",
    Annotated[int, Meta(ge=1, le=168)],
    levels=LEVELS,
    self_service=True,
    title="How many hours a digest covers",
)
SMTP: Final[Definition[Smtp]] = Definition(
    "notification.smtp", Smtp, levels=OPERATOR_LEVELS, title="The mail server for e-mail channels"
)
ALLOWED_NETWORKS: Final[Definition[tuple[str, ...]]] = Definition(
    "notification.allowed_networks",
    Annotated[tuple[str, ...], Meta(max_length=100)],
    levels=OPERATOR_LEVELS,
    title="Private networks that webhooks may go to all the same",
    check=_check_networks,
)
PUBLIC_URL: Final[Definition[str]] = Definition(
    "notification.public_url",
    Annotated[str, Meta(max_length=1_024)],
    levels=OPERATOR_LEVELS,
    title="Where users reach this service's API, for the link that unsubscribes",
    check=_check_public_url,
)
HISTORY: Final[Definition[int]] = Definition(
    "notification.history_days",
    Annotated[int, Meta(ge=14, le=3_650)],
    levels=OPERATOR_LEVELS,
    title="How many days history is kept",
)
DEFINITIONS: Final = (
    RULE,
    TEMPLATE,
    CHANNEL,
    PREFERENCES,
    DIGEST_HOURS,
    SMTP,
    ALLOWED_NETWORKS,
    PUBLIC_URL,
    HISTORY,
)
