"""What the brokers let this principal do, against what the catalogue gives the service. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from trunkline.catalogue.access import CLUSTER_NAME, Asset, Kind, Operation, Pattern, Right
from trunkline.client.kafka.survey import ABSENT, DENIED
from trunkline.operate.doctor.findings import Family, Finding, failed, not_checked, not_used, ok, warning

RIGHTS: Final = Family.RIGHTS
CLUSTER: Final = Asset(Kind.CLUSTER, CLUSTER_NAME)
SECOND: Final = "-doctor"
"""Ends the name of a group that nobody has: a right on a prefix has to cover it, too."""

WHOLE: Final[Mapping[Kind, frozenset[str]]] = {
    Kind.TOPIC: frozenset({"Read", "Write", "Delete", "Alter", "Describe", "AlterConfigs"}),
    Kind.GROUP: frozenset({"Read", "Delete", "Describe"}),
    Kind.CLUSTER: frozenset({"Alter", "AlterConfigs", "ClusterAction"}),
}
"""Who may do all this may do everything: brokers without an authoriser, or a superuser."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What brokers tell of one resource: `operations`, or the error's name in `code`.

    `operations` is None where they do not tell.
    """

    operations: frozenset[str] | None
    code: str = ""


def asked(granted: Sequence[Right]) -> Iterator[Asset]:
    """The resources to ask about, so that every right is seen."""
    for right in granted:
        yield Asset(right.resource, right.name)
        if right.pattern is Pattern.PREFIX:
            yield Asset(right.resource, right.name + SECOND)


def judge(granted: Sequence[Right], told: Mapping[Asset, Told], *, principal: str) -> Iterator[Finding]:
    """One line for each right, and one for each resource where this principal may do more than it should."""
    if _untold(told.values()):
        yield not_used(RIGHTS, "", "these brokers have no ACLs: everybody may do everything")
        return
    if _may_do_everything(told):
        yield warning(
            RIGHTS,
            principal,
            "may do everything: it is a superuser, or the brokers have no authoriser",
            "set `authorization` in the Kafka resource, and connect as the service's own user",
        )
        return
    for right in granted:
        yield _right(right, told, principal)
    for asset, one in told.items():
        if more := sorted((one.operations or frozenset()) - _expected(granted, asset)):
            yield warning(
                RIGHTS,
                f"{asset.kind} {asset.name}",
                f"{principal} may {', '.join(more)}, which the catalogue does not give",
                "`trunkline access audit` tells by which ACL, and `trunkline plan` shows what to take away",
            )


def _right(right: Right, told: Mapping[Asset, Told], principal: str) -> Finding:
    about = f"{', '.join(right.operations)} on {right.resource} {right.name}"
    answers = [told[asset] for asset in asked([right]) if asset in told]
    if not answers:
        return not_checked(RIGHTS, about, "brokers tell of no such resource")
    if unknown := next((one.code for one in answers if one.code and one.code not in DENIED), ""):
        why = "there is nothing to have it on" if unknown in ABSENT else "the brokers do not answer"
        return not_checked(RIGHTS, about, f"{why} ({unknown})")
    held = frozenset.intersection(*(one.operations or frozenset() for one in answers))
    missing = [operation.value for operation in right.operations if operation.value not in held]
    if not missing:
        return ok(RIGHTS, about, right.because)
    pattern = "prefixed" if right.pattern is Pattern.PREFIX else "literal"
    return failed(
        RIGHTS,
        about,
        f"{', '.join(missing)} is denied, and the service {right.because}",
        f"allow {principal} {', '.join(missing)} on {right.resource} {right.name} ({pattern}) from any host: "
        "`trunkline apply` does",
    )


def _expected(granted: Sequence[Right], asset: Asset) -> frozenset[str]:
    return frozenset(
        operation.value for operation in Operation if any(right.allows(operation, asset) for right in granted)
    )


def _untold(told: Iterable[Told]) -> bool:
    """Whether brokers describe things without what is allowed, and deny none; absent things say nothing."""
    described = [one for one in told if not one.code or one.code in DENIED]
    return bool(described) and all(one.operations is None and not one.code for one in described)


def _may_do_everything(told: Mapping[Asset, Told]) -> bool:
    answered = [
        (one.operations or frozenset(), WHOLE[asset.kind])
        for asset, one in told.items()
        if asset.kind in WHOLE and (not one.code or one.code in DENIED)
    ]
    return bool(answered) and all(held >= whole for held, whole in answered)
