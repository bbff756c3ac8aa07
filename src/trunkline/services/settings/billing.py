"""What can be configured of billing: meters, plans, quotas, and how late usage may come.

A meter says what is counted of one type of event. Its `version` grows with every change, and an older version
stays in force for what happened before `effective_from` of the newer one.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Final, Literal, TypeAlias, get_args

import msgspec
from msgspec import Meta

from trunkline.catalogue.events import EVENT_TYPES, EventDeclaration
from trunkline.catalogue.events.fields import Currency, DecimalText, Identifier, Instant, Positive
from trunkline.catalogue.events.tenant import Tier
from trunkline.catalogue.events.usage import Level
from trunkline.catalogue.model import near
from trunkline.services.settings.registry import LEVELS, Beside, Definition

TOPICS: Final = frozenset({"query.execution.events", "ai.agent.events"})
"""Whose events can be metered."""

TYPES: Final[Mapping[str, EventDeclaration]] = {
    name: declaration for name, declaration in EVENT_TYPES.items() if declaration.topic in TOPICS
}

SUBJECTS: Final = frozenset({"user_id", "session_id", "cancelled_by"})
"""Fields that name a person. Billing keeps them as keyed hashes only, and groups nothing by them."""

TIERS: Final[tuple[str, ...]] = get_args(Tier)

SINGULAR: Final = frozenset({"query_id", "run_id"})
"""Fields that tell every event from every other: groups by them would be as many as events."""

VALUES_MAX: Final = 4
GROUPS_MAX: Final = 4
LEVELS_MAX: Final = 20
TEXT_MAX: Final = 512
"""Characters of a field that can be told apart by; longer ones are prose, and not kept."""

LEVELS_DEFAULT: Final = (50, 80, 100, 120)

CODE: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
"""The last part of a setting's key; a meter's code is the same in capitals."""

Aggregation: TypeAlias = Literal["count", "sum", "max", "unique", "latest"]
Quantity: TypeAlias = Annotated[int, Meta(ge=0, le=10**18 - 1)] | DecimalText
"""Exact: a whole number, or a decimal number as text. Never a float."""

Percents: TypeAlias = Annotated[tuple[Level, ...], Meta(min_length=1, max_length=LEVELS_MAX)]


class Meter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is counted, of which event.

    `value` names the field of the event, or several that are added; a count takes none. `factor` turns it
    into `unit`, such as 0.000001 for microseconds into seconds.
    """

    event_type: str
    aggregation: Aggregation
    unit: Identifier
    value: str | tuple[str, ...] = ()
    factor: DecimalText = "1"
    group_by: tuple[str, ...] = ()
    version: Positive = 1
    effective_from: Instant | None = None
    """From the beginning of time, where it is not given."""

    @property
    def values(self) -> tuple[str, ...]:
        """The fields whose sum is the value."""
        return (self.value,) if isinstance(self.value, str) else self.value


_COMPLETED: Final = "query.completed.v1"
_TOKENS: Final = "agent.tokens_used.v1"

BUILT_IN: Final[Mapping[str, Meter]] = {
    "QUERY_EXECUTIONS": Meter(event_type=_COMPLETED, aggregation="count", unit="queries"),
    "DATA_SCANNED_BYTES": Meter(
        event_type=_COMPLETED, aggregation="sum", value="bytes_scanned", unit="bytes"
    ),
    "COMPUTE_SECONDS": Meter(
        event_type=_COMPLETED, aggregation="sum", value="cpu_us", factor="0.000001", unit="seconds"
    ),
    "ACTIVE_USERS": Meter(event_type=_COMPLETED, aggregation="unique", value="user_id", unit="users"),
    "LLM_INPUT_TOKENS": Meter(
        event_type=_TOKENS, aggregation="sum", value="input_tokens", unit="tokens", group_by=("model",)
    ),
    "LLM_OUTPUT_TOKENS": Meter(
        event_type=_TOKENS, aggregation="sum", value="output_tokens", unit="tokens", group_by=("model",)
    ),
    "LLM_TOKENS": Meter(
        event_type=_TOKENS, aggregation="sum", value=("input_tokens", "output_tokens"), unit="tokens"
    ),
    "AGENT_RUNS": Meter(event_type="agent.run_completed.v1", aggregation="count", unit="runs"),
}
"""What is counted unless the settings say otherwise: version 1 of each, from the beginning of time."""


class Quota(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much of a meter may be used in a month, and the percentages of it that are told of."""

    limit: Quantity
    thresholds: Percents = LEVELS_DEFAULT


class Plan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a tier may use of each meter in a month, and what a unit of it costs."""

    limits: dict[str, Quantity] = {}
    thresholds: Percents = LEVELS_DEFAULT
    prices: dict[str, Quantity] = {}
    currency: Currency = "EUR"


@dataclass(frozen=True, slots=True)
class _Kind:
    """What a field of an event can be used for."""

    counts: bool
    tells_apart: bool


def code_of(key: str) -> str:
    """The code of a meter, such as QUERY_EXECUTIONS, from the key of a setting. Raises `ValueError`."""
    name = key.rpartition(".")[2]
    if not CODE.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a meter: use up to 64 of a-z, 0-9 and _")
    return name.upper()


def kept_fields(event_type: str) -> tuple[str, ...]:
    """The fields of an event that can be metered, or told apart by: numbers, words, identifiers."""
    return tuple(name for name, kind in _kinds(event_type).items() if kind.counts or kind.tells_apart)


def _kinds(event_type: str) -> Mapping[str, _Kind]:
    info = msgspec.inspect.type_info(TYPES[event_type].cls)
    assert isinstance(info, msgspec.inspect.StructType)
    return {field.name: _kind(field.type) for field in info.fields}


def _kind(shape: Any) -> _Kind:
    inspect = msgspec.inspect
    if isinstance(shape, inspect.UnionType):
        given = [one for one in shape.types if not isinstance(one, inspect.NoneType)]
        return _kind(given[0]) if len(given) == 1 else _Kind(counts=False, tells_apart=False)
    if isinstance(shape, inspect.IntType):
        return _Kind(counts=True, tells_apart=True)
    if isinstance(shape, inspect.StrType):
        bounded = shape.pattern is not None or (shape.max_length or TEXT_MAX + 1) <= TEXT_MAX
        return _Kind(counts=False, tells_apart=bounded)
    return _Kind(counts=False, tells_apart=isinstance(shape, (inspect.BoolType, inspect.LiteralType)))


def check_meter(meter: Meter, key: str) -> None:
    """Raises `ValueError` with the reason why nothing can be metered so."""
    code_of(key)
    if meter.event_type not in TYPES:
        raise ValueError(
            f"event_type {meter.event_type!r} cannot be metered{near(meter.event_type, TYPES)}; "
            f"billing reads {', '.join(sorted(TOPICS))}"
        )
    kinds = _kinds(meter.event_type)
    _check_value(meter, kinds)
    _check_factor(meter)
    if len(meter.group_by) > GROUPS_MAX or len(set(meter.group_by)) != len(meter.group_by):
        raise ValueError(f"group_by takes up to {GROUPS_MAX} different fields")
    for name in meter.group_by:
        _check_field(meter, kinds, name)
        if name in SUBJECTS:
            raise ValueError(
                f"group_by {name}: totals are kept when a tenant is erased, so none may be of a person; "
                "count people with the aggregation unique"
            )
        if name in SINGULAR or not kinds[name].tells_apart:
            raise ValueError(f"group_by {name}: {meter.event_type} has nothing there that events share")


def _check_value(meter: Meter, kinds: Mapping[str, _Kind]) -> None:
    names = meter.values
    for name in names:
        _check_field(meter, kinds, name)
    match meter.aggregation:
        case "count":
            if names:
                raise ValueError("a count takes no value: every event counts 1")
        case "unique":
            if len(names) != 1 or not kinds[names[0]].tells_apart:
                raise ValueError("unique takes one value, a field with a short text or a number")
        case _:
            if not 1 <= len(names) <= VALUES_MAX:
                raise ValueError(f"{meter.aggregation} takes 1 to {VALUES_MAX} values, fields with numbers")
            for name in names:
                if not kinds[name].counts:
                    raise ValueError(f"value {name}: {meter.event_type} has no whole number there")


def _check_factor(meter: Meter) -> None:
    if Decimal(meter.factor) <= 0:
        raise ValueError("factor is above 0")
    if meter.factor != "1" and meter.aggregation in ("count", "unique"):
        raise ValueError(f"{meter.aggregation} takes no factor: it counts things")


def _check_field(meter: Meter, kinds: Mapping[str, _Kind], name: str) -> None:
    if name not in kinds:
        raise ValueError(f"{meter.event_type} has no field {name!r}{near(name, kinds)}")


def _check_quota(quota: Quota, key: str) -> None:
    code_of(key)
    _check_quantity("limit", quota.limit)


def _check_plan(plan: Plan, key: str) -> None:
    tier = key.rpartition(".")[2]
    if tier not in TIERS:
        raise ValueError(f"there is no tier {tier}; there are {', '.join(TIERS)}")
    for code in (*plan.limits, *plan.prices):
        if not CODE.fullmatch(code.lower()) or code != code.upper():
            raise ValueError(f"{code!r} is no meter; write its code in capitals, such as QUERY_EXECUTIONS")
    for name, quantities in (("limits", plan.limits), ("prices", plan.prices)):
        for code, quantity in quantities.items():
            _check_quantity(f"{name}.{code}", quantity)


def _check_quantity(name: str, quantity: Quantity) -> None:
    if Decimal(quantity) < 0:
        raise ValueError(f"{name} is {quantity}; it cannot be below 0")


def _check_known(codes: Iterable[str], others: Mapping[str, Any]) -> None:
    known = [*BUILT_IN, *(key.rpartition(".")[2].upper() for key in others)]
    for code in codes:
        if code not in known:
            raise ValueError(
                f"there is no meter {code}{near(code, known)} (one of your own is set first, as "
                f"{_METERS}{code.lower()})"
            )


def _check_meters_of_plan(plan: Plan, _key: str, others: Mapping[str, Any]) -> None:
    _check_known((*plan.limits, *plan.prices), others)


def _check_meter_of_quota(_quota: Quota, key: str, others: Mapping[str, Any]) -> None:
    _check_known((code_of(key),), others)


def _check_stays(meter: Meter, key: str, others: Mapping[str, Any]) -> None:
    """What a number means is not changed under its name."""
    code, before = code_of(key), others.get(key, msgspec.UNSET)
    standing = BUILT_IN.get(code)
    if standing is None and before is not msgspec.UNSET:
        standing = msgspec.convert(before, Meter)
    if standing is not None and (meter.aggregation, meter.unit) != (standing.aggregation, standing.unit):
        raise ValueError(
            f"meter {code} is a {standing.aggregation} of {standing.unit} and stays one; "
            "make another meter of another name"
        )


_METERS: Final = "billing.meters."

METER: Final = Definition(
    "billing.meters.*",
    Meter,
    levels=("global",),
    title="What is counted",
    check=check_meter,
    beside=Beside(_METERS, _check_stays),
)
PLAN: Final = Definition(
    "billing.plans.*",
    Plan,
    levels=("global",),
    title="What a tier may use, and its prices",
    check=_check_plan,
    beside=Beside(_METERS, _check_meters_of_plan),
)
QUOTA: Final = Definition(
    "billing.quotas.*",
    Quota,
    levels=LEVELS,
    title="How much of a meter a tenant may use, instead of its plan's limit",
    check=_check_quota,
    beside=Beside(_METERS, _check_meter_of_quota),
)
GRACE_DAYS: Final[Definition[int]] = Definition(
    "billing.grace_days",
    Annotated[int, Meta(ge=1, le=366)],
    levels=("global",),
    title="How late usage may come, and how long after its end a month stays open, in days",
)
PROVIDER: Final[Definition[str]] = Definition(
    "billing.provider_name",
    Annotated[str, Meta(min_length=1, max_length=100)],
    levels=("global",),
    title="Who provides the platform, in exports",
)
DEFINITIONS: Final = (METER, PLAN, QUOTA, GRACE_DAYS, PROVIDER)
