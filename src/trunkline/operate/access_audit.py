"""What a cluster lets whom do against what the catalogue gives, and which of it was ever used. Values only.

`trunkline plan` says what has to change; this says what is there, who has it, and whether anybody needs it.
Use is told from what clients leave behind, as `Evidence`, and from the authoriser's log where there is one.
A right that leaves no trace is said to be such, and never called unused.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from trunkline.catalogue.access import ANY, READER_GROUP, Kind, Operation, Pattern
from trunkline.catalogue.events.config import TOPIC as CONFIG_TOPIC
from trunkline.catalogue.internal import BROADCAST_POSITIONS, ERASURE_RECEIPTS, GROWTH_JOURNAL, TENANT_ENDS
from trunkline.catalogue.model import Catalogue
from trunkline.client.kafka.acls import Binding
from trunkline.operate.acls import DENY, EVERYBODY, text
from trunkline.operate.authorizer_log import Attempt, AuthorizerLog, Times

NO_TRACE: Final = "it leaves no trace on the cluster; the authoriser's log would tell (--authorizer-log)"
UNTOLD: Final = "a broker did not tell its groups; ask again when all answer"
WRITTEN_BY_ONE: Final = frozenset({GROWTH_JOURNAL.name, TENANT_ENDS.name})
"""Internal topics with a single writer, as all of the contract's have."""


class Irregularity(StrEnum):
    """How something is not as the catalogue says."""

    EVERYBODY = "everybody"
    UNKNOWN_PRINCIPAL = "unknown-principal"
    DENIAL = "denial"
    NOT_IN_CATALOGUE = "not-in-catalogue"
    MISSING = "missing"
    UNKNOWN_USER = "unknown-user"
    UNKNOWN_GROUP = "unknown-group"
    NO_AUTHORISER = "no-authoriser"


@dataclass(frozen=True, slots=True, kw_only=True)
class Anomaly:
    """One of these. `who` is a principal, a user or a group; `what` a binding as a phrase, empty for none."""

    kind: Irregularity
    who: str
    what: str = ""
    why: str


class Use(StrEnum):
    """Whether a right was ever used."""

    USED = "used"
    NEVER = "never-used"
    UNKNOWN = "cannot-be-told"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A binding of one of ours, whether it was used, and how that is known."""

    binding: Binding
    use: Use
    evidence: str

    @property
    def text(self) -> str:
        """The binding as a phrase."""
        return text(self.binding)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What clients have left behind.

    `committed` has the topics of each group's committed offsets, and `members` how many each group has now.
    `written` are the topics that ever held a record, with the time of the first one that is still there,
    empty where none is. `instances` and `receipts` say when a service has last written to the broadcast's
    positions and to the receipts of erasures; None where these cannot be read. `complete` says whether every
    broker has told its groups: where one has not, an absent group proves nothing.
    """

    committed: Mapping[str, frozenset[str]]
    members: Mapping[str, int]
    written: Mapping[str, str]
    instances: Mapping[str, str] | None
    receipts: Mapping[str, str] | None
    complete: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """All that was found. `anomalies` are drift; a right that nobody uses and a denied attempt are none."""

    anomalies: tuple[Anomaly, ...]
    grants: tuple[Grant, ...]
    denied: dict[Attempt, Times]
    notes: tuple[str, ...] = ()


def anomalies(
    wanted: Collection[Binding], found: Collection[Binding], *, principals: Collection[str]
) -> Iterator[Anomaly]:
    """Every binding that is not the catalogue's, and every one of the catalogue's that is not there.

    `principals` are those of the services, the exporter and the operator.
    """
    for binding in sorted(set(found) - set(wanted)):
        yield _surplus(binding, principals)
    for binding in sorted(set(wanted) - set(found)):
        yield Anomaly(
            kind=Irregularity.MISSING,
            who=binding.principal,
            what=text(binding),
            why="the catalogue gives it; `trunkline apply` does, too",
        )


def _surplus(binding: Binding, principals: Collection[str]) -> Anomaly:
    if binding.permission == DENY:
        kind, why = Irregularity.DENIAL, "a denial is stronger than every right; the catalogue has none"
    elif binding.principal == EVERYBODY:
        kind, why = Irregularity.EVERYBODY, "whoever gets in may do this"
    elif binding.principal not in principals:
        kind = Irregularity.UNKNOWN_PRINCIPAL
        why = "no service of the catalogue, nor the exporter or the operator"
    else:
        kind, why = Irregularity.NOT_IN_CATALOGUE, "the catalogue does not give it"
    return Anomaly(kind=kind, who=binding.principal, what=text(binding), why=why)


def unknown_users(users: Collection[str], known: Collection[str]) -> Iterator[Anomaly]:
    """Those who have a password on the cluster and whose principal is none of those `known`."""
    for user in sorted(one for one in users if f"User:{one}" not in known):
        yield Anomaly(
            kind=Irregularity.UNKNOWN_USER,
            who=user,
            why="has a SCRAM password, and the catalogue no such user",
        )


def unknown_groups(groups: Collection[str], wanted: Iterable[Binding]) -> Iterator[Anomaly]:
    """The groups that no right of a service covers."""
    owned = [one for one in wanted if one.resource == Kind.GROUP and one.name != ANY]
    for group in sorted(groups):
        if not any(_covers(one, group) for one in owned):
            yield Anomaly(
                kind=Irregularity.UNKNOWN_GROUP, who=group, why="no service of the catalogue owns it"
            )


def grants(
    catalogue: Catalogue,
    found: Iterable[Binding],
    evidence: Evidence,
    *,
    holders: Mapping[str, str],
    log: AuthorizerLog | None = None,
) -> list[Grant]:
    """The use of every right that one of ours has. `holders` are their names by principal."""
    listed = sorted(found)
    return [
        _judged(catalogue, binding, evidence, holder=_Holder.of(binding.principal, holders, listed), log=log)
        for binding in listed
        if binding.principal in holders and binding.permission != DENY
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Holder:
    """One of ours by the rights on the cluster: `groups` it may join, and `others` may write these topics."""

    name: str
    groups: tuple[Binding, ...]
    others: tuple[Binding, ...]

    @classmethod
    def of(cls, principal: str, names: Mapping[str, str], listed: Iterable[Binding]) -> "_Holder":
        allowed = [one for one in listed if one.permission != DENY]
        return cls(
            name=names[principal],
            groups=tuple(
                one
                for one in allowed
                if one.principal == principal
                and one.resource == Kind.GROUP
                and one.name not in (ANY, READER_GROUP)
                and one.operation in (Operation.READ, "All")
            ),
            others=tuple(
                one
                for one in allowed
                if one.principal != principal
                and one.resource == Kind.TOPIC
                and one.operation in (Operation.WRITE, "All")
            ),
        )

    def owns(self, group: str) -> bool:
        return group == self.name or any(_covers(one, group) for one in self.groups)

    def writes_alone(self, topic: str) -> bool:
        return not any(_covers(one, topic) for one in self.others)


def _judged(
    catalogue: Catalogue, binding: Binding, evidence: Evidence, *, holder: _Holder, log: AuthorizerLog | None
) -> Grant:
    if log is not None and (times := _logged(binding, log)).count:
        when = f", last at {times.last}" if times.last else ""
        return Grant(
            binding=binding, use=Use.USED, evidence=f"allowed {times.count:,} times{when}, says the log"
        )
    use, why = _left(catalogue, binding, evidence, holder)
    if log is not None and use is not Use.USED:
        if log.allowed:
            return Grant(binding=binding, use=Use.NEVER, evidence=f"not in the log, {log.span}")
        why = f"{why}; the log has nothing that was allowed: set kafka.authorizer.logger to DEBUG"
    return Grant(binding=binding, use=use, evidence=why)


def _logged(binding: Binding, log: AuthorizerLog) -> Times:
    """All of the log's attempts that this binding allows by its own operation."""
    whole = Times()
    for attempt, times in log.allowed.items():
        if (
            attempt.principal == binding.principal
            and attempt.resource == binding.resource
            and binding.operation in (attempt.operation, "All")
            and _covers(binding, attempt.name)
        ):
            whole.count += times.count
            whole.last = max(whole.last, times.last)
    return whole


def _left(catalogue: Catalogue, binding: Binding, evidence: Evidence, holder: _Holder) -> tuple[Use, str]:
    """What the cluster itself has of the use of a right."""
    if binding.resource == Kind.GROUP and binding.name not in (ANY, READER_GROUP):
        return _group(binding, evidence)
    if binding.resource != Kind.TOPIC or binding.name == ANY or binding.pattern == Pattern.PREFIX:
        return Use.UNKNOWN, NO_TRACE
    if binding.operation == Operation.WRITE:
        return _write(catalogue, binding.name, evidence, holder)
    if binding.operation == Operation.READ:
        return _read(catalogue, binding.name, evidence, holder)
    if binding.operation == Operation.DESCRIBE:
        for use, why in (
            _read(catalogue, binding.name, evidence, holder),
            _write(catalogue, binding.name, evidence, holder),
        ):
            if use is Use.USED:
                return use, f"its clients look a topic up before they use it, and {why}"
    return Use.UNKNOWN, NO_TRACE


def _group(binding: Binding, evidence: Evidence) -> tuple[Use, str]:
    own = sorted(name for name in evidence.members if _covers(binding, name))
    if not own:
        if not evidence.complete:
            return Use.UNKNOWN, UNTOLD
        return Use.NEVER, "there is no such group, or Kafka has forgotten it"
    members = sum(evidence.members[name] for name in own)
    return Use.USED, f"group {', '.join(own)} exists, members now: {members}"


def _read(catalogue: Catalogue, topic: str, evidence: Evidence, holder: _Holder) -> tuple[Use, str]:
    own = [name for name in evidence.committed if holder.owns(name)]
    if any(topic in evidence.committed[name] for name in own):
        return Use.USED, f"its group has committed offsets of {topic}"
    contract = {str(name): one for name, one in catalogue.topics.items()}.get(topic)
    if contract is not None and holder.name in contract.groups:
        if not evidence.complete:
            return Use.UNKNOWN, UNTOLD
        return Use.NEVER, f"its group has no committed offset of {topic}"
    if topic == CONFIG_TOPIC and contract is not None and holder.name in contract.consumers:
        return _seen(evidence.instances, holder.name, "an instance has told how far it has read it")
    return Use.UNKNOWN, NO_TRACE


def _write(catalogue: Catalogue, topic: str, evidence: Evidence, holder: _Holder) -> tuple[Use, str]:
    if topic == BROADCAST_POSITIONS.name:
        return _seen(
            evidence.instances, holder.name, "an instance has told how far it has read the configuration"
        )
    if topic == ERASURE_RECEIPTS.name:
        return _seen(evidence.receipts, holder.name, "it has told of an erasure")
    contract = {str(name): one for name, one in catalogue.topics.items()}.get(topic)
    if topic not in WRITTEN_BY_ONE and (contract is None or contract.publisher != holder.name):
        return Use.UNKNOWN, NO_TRACE
    if topic not in evidence.written:
        return Use.NEVER, f"{topic} has never held a record"
    if not holder.writes_alone(topic):
        return Use.UNKNOWN, f"{topic} holds records, and others may write it, too"
    since = evidence.written[topic]
    return Use.USED, f"it alone writes {topic}, " + (
        f"which holds records since {since}" if since else "whose records have expired"
    )


def _seen(last: Mapping[str, str] | None, holder: str, what: str) -> tuple[Use, str]:
    if last is None:
        return Use.UNKNOWN, "who would know may not be read with this user's rights"
    if holder in last:
        return Use.USED, f"{what}, last at {last[holder]}"
    return Use.NEVER, "no record of it is kept"


def _covers(binding: Binding, name: str) -> bool:
    if binding.pattern == Pattern.PREFIX:
        return name.startswith(binding.name)
    return binding.name in (name, ANY)
