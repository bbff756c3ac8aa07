"""Which broker settings a catalogue may add; the others would be dropped, ignored or contradicted.

Strimzi's cluster operator removes a setting that it rules itself, and says so in its own log only; Kafka
reads over a name that it does not know. Neither reaches whoever wrote it, so both are refused here.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Final, TypeAlias

from trunkline.catalogue.model import near

Setting: TypeAlias = str | int | bool

FORBIDDEN_PREFIXES: Final = (
    "advertised.",
    "authorizer.",
    "broker.",
    "client.quota.callback.static.",
    "controller.",
    "cordoned.log.dirs",
    "cruise.control.metrics.reporter.bootstrap.servers",
    "cruise.control.metrics.topic",
    "host.name",
    "inter.broker.listener.name",
    "listener.",
    "listeners",
    "log.dir",
    "metadata.log.dir",
    "node.id",
    "password.",
    "port",
    "process.roles",
    "prometheus.metrics.reporter.",
    "sasl.",
    "security.",
    "ssl.",
    "super.user",
    "zookeeper.",
)
"""Strimzi 1.2.0, KafkaClusterSpec.java, FORBIDDEN_PREFIXES. Its exceptions are in the list of settings."""

RULED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "compression.type": "compression",
        "cruise.control.metrics.topic.min.insync.replicas": "min_insync_replicas",
        "cruise.control.metrics.topic.replication.factor": "replication_factor",
        "default.replication.factor": "replication_factor",
        "log.retention.hours": "retention_days",
        "log.retention.minutes": "retention_days",
        "log.retention.ms": "retention_days",
        "message.max.bytes": "max_message_bytes",
        "min.insync.replicas": "min_insync_replicas",
        "num.partitions": "default_partitions",
        "offsets.retention.minutes": "retention_days",
        "offsets.topic.replication.factor": "replication_factor",
        "replica.selector.class": "rack",
        "share.coordinator.state.topic.min.isr": "min_insync_replicas",
        "share.coordinator.state.topic.replication.factor": "replication_factor",
        "transaction.state.log.min.isr": "min_insync_replicas",
        "transaction.state.log.replication.factor": "replication_factor",
    }
)
"""Settings that follow from what the environment says already, and from which key of it."""

_NO_PLUGIN: Final = "Strimzi's image has no class for it, and no broker would start"

FIXED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "alter.config.policy.class.name": _NO_PLUGIN,
        "auto.create.topics.enable": "topics come from the catalogue, and a mistyped name is none",
        "client.quota.callback.class": "it takes the place of Kafka's own, and every `quota` would be off",
        "config.providers": "a provider's class cannot be named here, and no broker would start",
        "create.topic.policy.class.name": _NO_PLUGIN,
        "delete.topic.enable": "without it a KafkaTopic that is removed never goes",
        "early.start.listeners": "the listeners and their names are Strimzi's",
        "kafka.metrics.reporters": "Strimzi's image has its own reporter only, and adds it itself",
        "log.cleanup.policy": "compaction would keep one event of each tenant",
        "log.retention.bytes": "a bound on bytes deletes events before their retention_days are over",
        "metric.reporters": "Strimzi's image has its own reporter only, and adds it itself",
        "principal.builder.class": "rights are given to the principals that Strimzi's users have",
        "unclean.leader.election.enable": "acknowledged events would be lost",
    }
)
"""Settings that are the same everywhere, and what would go wrong otherwise."""

REMOTE_STORAGE: Final = "remote.log."
"""What the settings of tiered storage begin with."""

ALLOW_EVERYONE: Final = "allow.everyone.if.no.acl.found"
"""The authoriser's; Strimzi lets it through. A topic without rights would be open to all."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What values a setting takes: its type in Kafka's words, and its limits, both inclusive."""

    type: str
    least: int | float | None = None
    most: int | float | None = None
    choices: tuple[str, ...] = ()

    def fault(self, value: Setting) -> str | None:
        """What is wrong with a value, as the end of a sentence that begins with the setting's name."""
        if self.type == "password":
            return "is a secret and does not belong in a catalogue"
        if self.type == "boolean":
            return None if isinstance(value, bool) else f"must be true or false, not {value!r}"
        if self.type in _NUMBERS:
            return self._number_fault(value)
        if self.choices and value not in self.choices:
            return f"must be one of {', '.join(self.choices)}, not {value!r}"
        return None

    def _number_fault(self, value: Setting) -> str | None:
        pattern, words = _NUMBERS[self.type]
        if isinstance(value, bool) or not pattern.fullmatch(str(value)):
            return f"must be {words}, not {value!r}"
        number = _number(str(value))
        if self.least is not None and number < self.least:
            return f"must be at least {self.least}, not {value}"
        if self.most is not None and number > self.most:
            return f"must be at most {self.most}, not {value}"
        return None


_WHOLE: Final = (re.compile(r"-?[0-9]+"), "a whole number")
_NUMBERS: Final[Mapping[str, tuple[re.Pattern[str], str]]] = MappingProxyType(
    {
        **dict.fromkeys(("int", "long", "short"), _WHOLE),
        "double": (re.compile(r"-?[0-9]+(?:\.[0-9]+)?"), "a number"),
    }
)
_MOST: Final = MappingProxyType({"int": 2**31 - 1, "long": 2**63 - 1, "short": 2**15 - 1})


def _number(text: str) -> int | float:
    return float(text) if "." in text else int(text)


def setting_fault(name: str, value: Setting) -> str | None:
    """Why a broker setting cannot be in a catalogue, as one sentence; None for one that can."""
    if name in RULED:
        return f"{name} follows from {RULED[name]}; remove it and change that"
    if name in FIXED:
        return f"{name} cannot be set: {FIXED[name]}"
    if name.startswith(REMOTE_STORAGE):
        return f"{name} cannot be set: tiered storage needs a plugin, and Strimzi's image has none"
    kind = broker_settings().get(name)
    if kind is None:
        return _unknown(name, value)
    fault = kind.fault(value)
    return None if fault is None else f"{name} {fault}"


def _unknown(name: str, value: Setting) -> str | None:
    if name == ALLOW_EVERYONE:
        # False is what the authoriser does anyway.
        return (
            None if value is False else f"{name} must be false: a topic without rights would be open to all"
        )
    if any(name.startswith(prefix) for prefix in FORBIDDEN_PREFIXES):
        return f"{name} is ruled by Strimzi, which would drop it without a word; remove it"
    return f"{name} is not a setting of a Kafka broker, which would ignore it{near(name, broker_settings())}"


@cache
def broker_settings() -> Mapping[str, Kind]:
    """The settings that reach a broker on Strimzi, by name."""
    text = files("trunkline.catalogue").joinpath("broker_settings.tsv").read_text(encoding="utf-8")
    rows = (line.split("\t") for line in text.splitlines() if not line.startswith("#"))
    return MappingProxyType({name: _kind(type_, *limits) for name, type_, *limits in rows})


def _kind(type_: str, limits: str = "") -> Kind:
    if type_ not in _NUMBERS:
        return Kind(type_, choices=tuple(limits.split("|")) if limits else ())
    least, _, most = limits.partition("..")
    bound = _MOST.get(type_)
    return Kind(
        type_,
        least=_number(least) if least else (None if bound is None else -bound - 1),
        most=_number(most) if most else bound,
    )
