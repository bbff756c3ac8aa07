"""The catalogue's rights against a cluster's ACLs. Values only.

A right too few keeps a service from its work, a right too many is a hole; both are drift. The principals of
the catalogue are ours, so a binding of theirs that it does not give can be taken away, if that is allowed.
A binding of somebody else's counts where it opens what is ours, and is never ours to take.
"""

from collections.abc import Collection, Iterable
from typing import Final

from trunkline.catalogue.access import ANY, READER_GROUP, Kind, Pattern
from trunkline.client.kafka.acls import Binding
from trunkline.deploy.acls import Acl
from trunkline.operate.change import Change, Layer, Risk, Verb

KIND: Final = "ACL"
EVERYBODY: Final = "User:*"
DENY: Final = "deny"
CLOSES: Final = (
    "these brokers set allow.everyone.if.no.acl.found and hide its value: if it is true, the first ACL on "
    "something closes that to all others, also to other applications and to administrators who are no "
    "superusers"
)
HARMLESS_ON_CLUSTER: Final = frozenset({"ClusterAction", "Describe", "DescribeConfigs", "IdempotentWrite"})
"""What brokers, exporters and producers of others have, and what opens nothing of ours."""


def wanted_bindings(acls: Iterable[Acl]) -> frozenset[Binding]:
    """The catalogue's ACLs as the cluster lists them."""
    return frozenset(
        Binding(
            principal=acl.principal,
            resource=str(acl.resource),
            name=acl.name,
            pattern=str(acl.pattern),
            operation=str(acl.operation),
            host=acl.host,
        )
        for acl in acls
    )


def acl_changes(
    wanted: Collection[Binding], found: Collection[Binding], topics: Collection[str], *, is_open: bool = False
) -> list[Change]:
    """What makes the cluster's ACLs those of the catalogue, sorted by principal.

    `topics` are the names of ours. Bindings of others on what is not ours are left out. `is_open` is for a
    cluster where everybody may do everything with what no ACL is about: there the first one closes it.
    """
    ours = {binding.principal for binding in wanted}
    missing = sorted(set(wanted) - set(found))
    surplus = sorted(set(found) - set(wanted))
    return [
        *(_missing(binding, is_open=is_open) for binding in missing),
        *(_surplus(binding) for binding in surplus if binding.principal in ours),
        *(
            _foreign(binding)
            for binding in surplus
            if binding.principal not in ours and _touches(binding, topics, wanted)
        ),
    ]


def text(binding: Binding) -> str:
    """The binding as one phrase: `Read on topic billing.usage.events`."""
    begins = "names that begin with " if binding.pattern == Pattern.PREFIX else ""
    host = "" if binding.host == ANY else f" from {binding.host}"
    deny = "deny " if binding.permission == DENY else ""
    return f"{deny}{binding.operation} on {binding.resource} {begins}{binding.name}{host}"


def _missing(binding: Binding, *, is_open: bool) -> Change:
    return Change(
        layer=Layer.CLUSTER,
        verb=Verb.CREATE,
        kind=KIND,
        name=binding.principal,
        wanted=text(binding),
        risk=Risk.ACCESS if is_open else Risk.SAFE,
        why=CLOSES
        if is_open
        else "the catalogue gives this right, and its holder cannot do its work without",
    )


def _surplus(binding: Binding) -> Change:
    why = (
        "it denies what the catalogue gives, or may"
        if binding.permission == DENY
        else "the catalogue does not give this right; whoever uses it all the same is cut off"
    )
    return _taken(binding, why)


def _foreign(binding: Binding) -> Change:
    who = "everybody" if binding.principal == EVERYBODY else "somebody whom the catalogue does not know"
    how = "denies" if binding.permission == DENY else "opens"
    return _taken(
        binding,
        f"{who}: it {how} what the catalogue gives to its services alone",
        remedy="apply takes nothing from others: delete it with kafka-acls.sh, or add the service to the "
        "catalogue",
    )


def _taken(binding: Binding, why: str, *, remedy: str = "") -> Change:
    return Change(
        layer=Layer.CLUSTER,
        verb=Verb.DELETE,
        kind=KIND,
        name=binding.principal,
        found=text(binding),
        risk=Risk.ACCESS,
        why=why,
        remedy=remedy,
    )


def _touches(binding: Binding, topics: Collection[str], wanted: Collection[Binding]) -> bool:
    """Whether it is about something of ours: a topic, a group, or the rights themselves."""
    if binding.resource == Kind.CLUSTER:
        return binding.operation not in HARMLESS_ON_CLUSTER
    if binding.resource == Kind.TOPIC:
        return any(_overlap(binding, name, Pattern.LITERAL) for name in topics)
    groups = {(one.name, one.pattern) for one in wanted if one.resource == Kind.GROUP and one.name != ANY}
    return binding.resource == Kind.GROUP and any(
        _overlap(binding, name, pattern) for name, pattern in groups if name != READER_GROUP
    )


def _overlap(binding: Binding, name: str, pattern: str) -> bool:
    """Whether some resource is meant by both."""
    if binding.pattern != Pattern.PREFIX and binding.name == ANY:
        return True
    theirs, ours = binding.pattern == Pattern.PREFIX, pattern == Pattern.PREFIX
    return (
        binding.name == name
        or (theirs and name.startswith(binding.name))
        or (ours and binding.name.startswith(name))
    )
