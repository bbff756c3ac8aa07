"""The catalogue's rights against a cluster's ACLs. Values only.

A right too few keeps a service from its work, a right too many is a hole; both are drift. The principals of
the catalogue are ours, so a binding of theirs that it does not give can be taken away, if that is allowed.
A binding of somebody else's counts where it opens what is ours, and is never ours to take.
"""

from collections.abc import Collection, Iterable
from typing import Final

from trunkline.catalogue.access import ANY, Kind, Pattern
from trunkline.client.kafka.acls import Binding
from trunkline.deploy.acls import Acl
from trunkline.operate.change import Change, Layer, Risk, Verb

KIND: Final = "ACL"
EVERYBODY: Final = "User:*"
DENY: Final = "deny"


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
    wanted: Collection[Binding], found: Collection[Binding], topics: Collection[str]
) -> list[Change]:
    """What makes the cluster's ACLs those of the catalogue, sorted by principal.

    `topics` are the names of ours. Bindings of others on what is not ours are left out.
    """
    ours = {binding.principal for binding in wanted}
    missing = sorted(set(wanted) - set(found))
    surplus = sorted(set(found) - set(wanted))
    return [
        *(_missing(binding) for binding in missing),
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


def _missing(binding: Binding) -> Change:
    return Change(
        layer=Layer.CLUSTER,
        verb=Verb.CREATE,
        kind=KIND,
        name=binding.principal,
        wanted=text(binding),
        risk=Risk.SAFE,
        why="the catalogue gives this right, and its holder cannot do its work without",
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
    """Whether it is about one of our topics or groups."""
    if binding.resource == Kind.TOPIC:
        return any(_covers(binding, name) for name in topics)
    groups = {one.name for one in wanted if one.resource == Kind.GROUP and one.name != ANY}
    return binding.resource == Kind.GROUP and any(_covers(binding, name) for name in groups)


def _covers(binding: Binding, name: str) -> bool:
    if binding.pattern == Pattern.PREFIX:
        return name.startswith(binding.name)
    return binding.name in {name, ANY}
