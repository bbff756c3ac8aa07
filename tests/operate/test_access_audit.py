"""Rights against the catalogue, and what is known of their use."""

from collections.abc import Collection
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.catalogue.load import load_catalogue
from trunkline.client.kafka.acls import Binding
from trunkline.deploy.acls import acls
from trunkline.operate.access_audit import (
    NO_TRACE,
    Evidence,
    Grant,
    Irregularity,
    Use,
    anomalies,
    grants,
    unknown_groups,
    unknown_users,
)
from trunkline.operate.acls import wanted_bindings
from trunkline.operate.authorizer_log import Attempt, AuthorizerLog, Times
from trunkline.operate.plan import principals

CATALOGUE = load_catalogue()
KNOWN_AS = principals(CATALOGUE, "production")
HOLDERS = {principal: name for name, principal in KNOWN_AS.items()}
WANTED = wanted_bindings(acls(CATALOGUE, principals=KNOWN_AS))
NOTHING = Evidence(committed={}, members={}, written={}, instances={}, receipts={})
AUDIT = "User:CN=audit-service"


def found(bindings: Collection[Binding]) -> list[tuple[Irregularity, str, str]]:
    return [(one.kind, one.who, one.what) for one in anomalies(WANTED, bindings, principals=HOLDERS)]


def binding(principal: str = AUDIT, operation: str = "Read", name: str = "query.execution.events") -> Binding:
    return Binding(principal, "topic", name, "literal", operation)


def test_the_catalogues_own_acls_are_no_anomaly() -> None:
    assert found(WANTED) == []


@given(st.sets(st.sampled_from(sorted(WANTED)), max_size=5))
def test_every_missing_binding_is_named_and_nothing_else(missing: set[Binding]) -> None:
    assert [(kind, who) for kind, who, _ in found(WANTED - missing)] == [
        (Irregularity.MISSING, one.principal) for one in sorted(missing)
    ]


@pytest.mark.parametrize(
    ("added", "kind"),
    [
        (binding(principal="User:*"), Irregularity.EVERYBODY),
        (binding(principal="User:CN=old"), Irregularity.UNKNOWN_PRINCIPAL),
        (binding(operation="Write"), Irregularity.NOT_IN_CATALOGUE),
        (binding()._replace(host="10.0.0.7"), Irregularity.NOT_IN_CATALOGUE),
        (binding()._replace(permission="deny"), Irregularity.DENIAL),
        (binding(principal="User:*")._replace(permission="deny"), Irregularity.DENIAL),
        (binding(operation="All")._replace(pattern="prefix", name=""), Irregularity.NOT_IN_CATALOGUE),
    ],
)
def test_every_kind_of_surplus_is_told_apart(added: Binding, kind: Irregularity) -> None:
    assert [(one, who) for one, who, _ in found(WANTED | {added})] == [(kind, added.principal)]


def test_users_and_groups_that_nobody_knows_are_told() -> None:
    assert [one.who for one in unknown_users({"audit-service", "old"}, {"User:audit-service"})] == ["old"]
    groups = {"audit-service", "audit-service-2", "trunkline-reader", "stray"}
    assert [one.who for one in unknown_groups(groups, WANTED)] == ["stray"]


def judged(
    operation: str, name: str, evidence: Evidence, *, service: str, log: AuthorizerLog | None = None
) -> Grant:
    (one,) = grants(
        CATALOGUE, [binding(KNOWN_AS[service], operation, name)], evidence, holders=HOLDERS, log=log
    )
    return one


READING = Evidence(
    committed={"audit-service": frozenset({"query.execution.events"})},
    members={"audit-service": 2},
    written={"query.execution.events": "2026-01-01 00:00:00 UTC", "trunkline.tenant.ends": ""},
    instances={"audit-service": "2026-01-02 00:00:00 UTC", "ml-service": "2026-01-02 00:00:00 UTC"},
    receipts={"audit-service": "2026-01-03 00:00:00 UTC"},
)


@pytest.mark.parametrize(
    ("service", "operation", "name", "use", "said"),
    [
        ("audit-service", "Read", "query.execution.events", Use.USED, "committed offsets"),
        ("audit-service", "Describe", "query.execution.events", Use.USED, "look a topic up"),
        ("audit-service", "Read", "ai.agent.events", Use.NEVER, "no committed offset of ai.agent.events"),
        ("audit-service", "Describe", "ai.agent.events", Use.UNKNOWN, NO_TRACE),
        ("query-engine", "Write", "query.execution.events", Use.USED, "since 2026-01-01 00:00:00 UTC"),
        ("query-engine", "Describe", "query.execution.events", Use.USED, "it alone writes"),
        ("ai-service", "Write", "ai.agent.events", Use.NEVER, "never held a record"),
        ("ml-service", "Read", "config.change.events", Use.USED, "last at 2026-01-02"),
        ("ai-service", "Read", "config.change.events", Use.NEVER, "no record of it is kept"),
        ("ml-service", "Write", "trunkline.broadcast.positions", Use.USED, "last at 2026-01-02"),
        ("audit-service", "Write", "trunkline.erasure.receipts", Use.USED, "told of an erasure"),
        ("ml-service", "Write", "trunkline.erasure.receipts", Use.NEVER, "no record of it is kept"),
        ("tenant-service", "Write", "trunkline.tenant.ends", Use.USED, "whose records have expired"),
        ("ml-service", "Read", "trunkline.tenant.ends", Use.UNKNOWN, NO_TRACE),
        ("trunkline-operator", "Alter", "ai.agent.events", Use.UNKNOWN, NO_TRACE),
        # Too many rights are judged by the same traces, and no other's records are taken for theirs.
        ("audit-service", "Write", "query.execution.events", Use.UNKNOWN, NO_TRACE),
        ("billing-service", "Read", "security.audit.events", Use.UNKNOWN, NO_TRACE),
    ],
)
def test_the_traces_of_use_are_told(service: str, operation: str, name: str, use: Use, said: str) -> None:
    one = judged(operation, name, READING, service=service)
    assert one.use is use
    assert said in one.evidence


def test_what_may_not_be_read_cannot_be_told() -> None:
    blind = Evidence(committed={}, members={}, written={}, instances=None, receipts=None)
    assert judged("Write", "trunkline.erasure.receipts", blind, service="ml-service").use is Use.UNKNOWN


def test_a_group_is_used_where_it_exists() -> None:
    right = Binding(AUDIT, "group", "audit-service", "prefix", "Read")
    (used,) = grants(CATALOGUE, [right], READING, holders=HOLDERS)
    (unused,) = grants(CATALOGUE, [right], NOTHING, holders=HOLDERS)
    assert (used.use, unused.use) == (Use.USED, Use.NEVER)
    assert "members now: 2" in used.evidence


def log(*attempts: Attempt) -> AuthorizerLog:
    first, last = "2026-01-01 00:00:00", "2026-01-05 00:00:00"
    allowed = {attempt: Times(count=3, first=first, last=last) for attempt in attempts}
    return AuthorizerLog(allowed=allowed, denied={}, first=first, last=last)


ENDS = "trunkline.tenant.ends"


def test_the_authorisers_log_tells_what_leaves_no_trace() -> None:
    told = log(Attempt(KNOWN_AS["ml-service"], "Read", "topic", ENDS))
    one = judged("Read", ENDS, NOTHING, service="ml-service", log=told)
    assert one.use is Use.USED
    assert one.evidence == "allowed 3 times, last at 2026-01-05 00:00:00, says the log"
    other = judged("Read", ENDS, NOTHING, service="ai-service", log=told)
    assert other.use is Use.NEVER
    assert other.evidence == "not in the log, 2026-01-01 00:00:00 to 2026-01-05 00:00:00"


def test_a_log_without_what_was_allowed_proves_nothing() -> None:
    one = judged("Read", ENDS, NOTHING, service="ml-service", log=log())
    assert one.use is Use.UNKNOWN
    assert "set kafka.authorizer.logger to DEBUG" in one.evidence


def test_the_clusters_traces_reach_back_further_than_a_log() -> None:
    told = log(Attempt(AUDIT, "Read", "topic", ENDS))
    assert (
        judged("Read", "query.execution.events", READING, service="audit-service", log=told).use is Use.USED
    )


def test_a_wide_right_is_used_by_what_it_covers() -> None:
    right = Binding(KNOWN_AS["trunkline-operator"], "topic", "*", "literal", "Describe")
    told = log(Attempt(right.principal, "Describe", "topic", "anything"))
    (one,) = grants(CATALOGUE, [right], NOTHING, holders=HOLDERS, log=told)
    assert one.use is Use.USED


def test_denials_and_others_rights_are_no_grants() -> None:
    listed = [binding()._replace(permission="deny"), binding(principal="User:*")]
    assert grants(CATALOGUE, listed, NOTHING, holders=HOLDERS) == []


def test_every_right_of_the_catalogue_is_judged() -> None:
    assert len(grants(CATALOGUE, WANTED, NOTHING, holders=HOLDERS)) == len(WANTED)


def test_a_password_of_somebody_named_like_a_service_is_told_where_services_have_certificates() -> None:
    assert [one.who for one in unknown_users({"audit-service"}, KNOWN_AS.values())] == ["audit-service"]


@pytest.mark.parametrize(
    "right",
    [
        Binding(AUDIT, "group", "audit-service", "prefix", "Read"),
        binding(name="query.execution.events"),
    ],
)
def test_no_group_is_called_absent_while_a_broker_is_silent(right: Binding) -> None:
    (one,) = grants(CATALOGUE, [right], replace(NOTHING, complete=False), holders=HOLDERS)
    assert one.use is Use.UNKNOWN
    assert "a broker did not tell its groups" in one.evidence


@pytest.mark.parametrize(
    "other",
    [
        binding("User:old", "Write"),
        binding("User:*", "All"),
        binding("User:old", "Write", "query.")._replace(pattern="prefix"),
        binding("User:old", "Write", "*"),
    ],
)
def test_records_prove_nothing_where_others_may_write_them(other: Binding) -> None:
    own = binding(KNOWN_AS["query-engine"], "Write")
    (alone,) = grants(CATALOGUE, [own, other._replace(permission="deny")], READING, holders=HOLDERS)
    (one,) = grants(CATALOGUE, [own, other], READING, holders=HOLDERS)
    assert (alone.use, one.use) == (Use.USED, Use.UNKNOWN)
    assert "others may write it, too" in one.evidence


def test_a_group_named_alike_is_no_ones_own_where_the_right_is_literal() -> None:
    read, topic = binding(), "query.execution.events"
    left = replace(NOTHING, committed={"audit-service-2": frozenset({topic})})
    for pattern, use in (("literal", Use.NEVER), ("prefix", Use.USED)):
        group = Binding(AUDIT, "group", "audit-service", pattern, "Read")
        found = {one.binding: one.use for one in grants(CATALOGUE, [read, group], left, holders=HOLDERS)}
        assert found[read] is use
