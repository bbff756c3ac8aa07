"""What brokers allow against what the catalogue gives."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.catalogue.access import IMPLIED_BY, Asset, Kind, Operation, rights
from trunkline.catalogue.internal import INTERNAL_TOPICS
from trunkline.catalogue.load import load_catalogue
from trunkline.operate.doctor.findings import Finding, Verdict
from trunkline.operate.doctor.rights import CLUSTER, WHOLE, Told, asked, judge

CATALOGUE = load_catalogue()
TOPICS = [*CATALOGUE.topics, *(topic.name for topic in INTERNAL_TOPICS)]
AUDIT = rights(CATALOGUE, "audit-service")
EVERYTHING = frozenset(operation.value for operation in Operation)


def allowed(service: str) -> dict[Asset, Told]:
    """What a cluster tells whose ACLs are those of the catalogue."""
    granted = rights(CATALOGUE, service)
    assets = [*(Asset(Kind.TOPIC, name) for name in TOPICS), *asked(granted)]
    assets += [Asset(Kind.GROUP, name) for name in CATALOGUE.services]
    told = {
        asset: frozenset(
            operation.value
            for operation in Operation
            if any(right.allows(operation, asset) for right in granted)
        )
        for asset in assets
    }
    denied = {Kind.TOPIC: "TOPIC_AUTHORIZATION_FAILED", Kind.GROUP: "GROUP_AUTHORIZATION_FAILED"}
    return {
        asset: Told(operations=held) if held else Told(operations=None, code=denied[asset.kind])
        for asset, held in told.items()
    } | {CLUSTER: Told(operations=frozenset())}


def judged(told: Mapping[Asset, Told], service: str = "audit-service") -> list[Finding]:
    return list(judge(rights(CATALOGUE, service), told, principal=f"User:{service}"))


@pytest.mark.parametrize("service", CATALOGUE.services)
def test_with_the_catalogues_acls_every_right_is_ok_and_nothing_else_is_said(service: str) -> None:
    found = judged(allowed(service), service)
    assert {one.verdict for one in found} == {Verdict.OK}
    assert len(found) == len(rights(CATALOGUE, service))


@given(st.sampled_from([(right, op) for right in AUDIT for op in right.operations]))
def test_every_missing_right_is_named_with_its_acl(missing: tuple[object, Operation]) -> None:
    right, operation = missing
    told = dict(allowed("audit-service"))
    for asset in asked([right]):  # type: ignore[list-item]  # sampled_from knows no tuples' types
        held = told[asset].operations or frozenset()
        told[asset] = Told(operations=held - {operation.value})
    failed = [one for one in judged(told) if one.verdict is Verdict.FAILED]
    assert len(failed) == 1
    assert f"allow User:audit-service {operation.value} on {right.resource} {right.name}" in failed[0].remedy  # type: ignore[attr-defined]
    assert "`trunkline apply`" in failed[0].remedy


@given(st.sampled_from(TOPICS), st.sampled_from(sorted(Operation)))
def test_every_right_too_many_is_a_warning(topic: str, operation: Operation) -> None:
    told = dict(allowed("billing-service"))
    asset = Asset(Kind.TOPIC, topic)
    before = told[asset].operations or frozenset()
    implied = {one.value for one, by in IMPLIED_BY.items() if operation in by}
    told[asset] = Told(operations=before | {operation.value} | implied)
    found = [one for one in judged(told, "billing-service") if one.verdict is not Verdict.OK]
    if {operation.value, *implied} <= before:
        assert not found
    else:
        assert [one.verdict for one in found] == [Verdict.WARNING]
        assert topic in found[0].about
        assert "which the catalogue does not give" in found[0].text


def test_a_literal_right_where_a_prefix_is_wanted_is_missing() -> None:
    told = dict(allowed("audit-service"))
    told[Asset(Kind.GROUP, "audit-service-doctor")] = Told(operations=None, code="GROUP_AUTHORIZATION_FAILED")
    failed = [one for one in judged(told) if one.verdict is Verdict.FAILED]
    assert [one.about for one in failed] == ["Describe, Read on group audit-service"]
    assert "(prefixed)" in failed[0].remedy


def test_a_denied_topic_is_a_missing_right_and_an_absent_one_is_not_checked() -> None:
    told = dict(allowed("audit-service"))
    told[Asset(Kind.TOPIC, "ml.model.events")] = Told(operations=None, code="TOPIC_AUTHORIZATION_FAILED")
    told[Asset(Kind.TOPIC, "ai.agent.events")] = Told(operations=None, code="UNKNOWN_TOPIC_OR_PART")
    bad = {one.about: one.verdict for one in judged(told) if one.verdict is not Verdict.OK}
    assert bad == {
        "Describe, Read on topic ml.model.events": Verdict.FAILED,
        "Describe, Read on topic ai.agent.events": Verdict.NOT_CHECKED,
    }


def test_who_may_do_everything_is_told_once() -> None:
    told = {asset: Told(operations=EVERYTHING) for asset in allowed("audit-service")}
    assert WHOLE[Kind.CLUSTER] <= EVERYTHING
    told[Asset(Kind.GROUP, "audit-service")] = Told(operations=None, code="_TIMED_OUT")
    (found,) = judged(told)
    assert found.verdict is Verdict.WARNING
    assert "superuser" in found.text


def test_a_coordinator_that_does_not_answer_hides_one_right_and_no_more() -> None:
    told = dict(allowed("audit-service"))
    told[Asset(Kind.GROUP, "audit-service")] = Told(operations=None, code="_TIMED_OUT")
    (found,) = [one for one in judged(told) if one.verdict is not Verdict.OK]
    assert found.verdict is Verdict.NOT_CHECKED
    assert "do not answer (_TIMED_OUT)" in found.text


def test_brokers_without_acls_use_none() -> None:
    (found,) = judged({asset: Told(operations=None) for asset in asked(AUDIT)})
    assert found.verdict is Verdict.NOT_USED


def test_brokers_without_acls_use_none_even_where_a_topic_is_missing() -> None:
    told = {asset: Told(operations=None) for asset in asked(AUDIT)}
    told[Asset(Kind.TOPIC, "ai.agent.events")] = Told(operations=None, code="UNKNOWN_TOPIC_OR_PART")
    (found,) = judged(told)
    assert found.verdict is Verdict.NOT_USED


def test_where_nothing_answers_nothing_is_claimed() -> None:
    told = {asset: Told(operations=None, code="_TIMED_OUT") for asset in asked(AUDIT)}
    found = judged(told)
    assert len(found) == len(AUDIT)
    assert {one.verdict for one in found} == {Verdict.NOT_CHECKED}
