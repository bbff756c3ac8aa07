"""A rule, template or channel that cannot work is refused when it is set, with the reason."""

from typing import Any

import msgspec
import pytest

from trunkline.errors import InvalidInput
from trunkline.services.settings.notification import CHANNEL, RULE, TEMPLATE
from trunkline.services.settings.notification_defaults import CHANNELS, RULES, TEMPLATES
from trunkline.services.settings.registry import check

BASE: dict[str, Any] = {
    "title": "It broke",
    "when": {"types": ["pipeline.run_failed.v1"]},
    "key": "{{ data.job }}",
}


def where(**fields: Any) -> dict[str, Any]:
    return BASE | {"when": {"types": ["pipeline.run_failed.v1"], "where": fields}}


def test_what_comes_with_the_product_can_be_set() -> None:
    for definition, defaults in ((RULE, RULES), (TEMPLATE, TEMPLATES), (CHANNEL, CHANNELS)):
        for name, value in defaults.items():
            check(definition.pattern.replace("*", name), "global", msgspec.to_builtins(value))


@pytest.mark.parametrize(
    "rule",
    [
        BASE,
        where(attempt={"ge": 3}, job=["a", "b"], error_code={"prefix": "source_"}),
        BASE | {"when": {"types": ["quality.*"]}, "key": "{{ data.asset }}"},
        BASE | {"group_by": "{{ data.namespace }}", "group_wait_s": 10, "repeat_s": 0},
        BASE | {"inhibited_by": [{"rule": "quality-check-failed", "equal": []}]},
    ],
)
def test_rules_that_make_sense_can_be_set(rule: dict[str, Any]) -> None:
    check("notification.rules.mine", "tenant", rule)


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        (BASE | {"when": {"types": ["pipeline.run_faled.v1"]}}, "did you mean pipeline.run_failed.v1"),
        (BASE | {"when": {"types": ["query.completed.v1"]}}, "no event that the notification service gets"),
        (BASE | {"when": {"types": []}}, "types"),
        (BASE | {"key": "{{ data.jobs }}"}, "no attribute 'jobs'"),
        (BASE | {"key": "{{ data.job"}, "template"),
        (BASE | {"group_by": "{{ data.asset }}"}, "group_by"),
        (where(eror_code="x"), "did you mean error_code"),
        (where(job={"matches": "x"}), "matches"),
        (BASE | {"severity_from": "severity"}, "severity_from"),
        (BASE | {"severity": "fatal"}, "fatal"),
        (BASE | {"resolved_by": {"types": ["pipeline.run_failed.v1"]}}, "opens and closes"),
        (BASE | {"inhibited_by": [{"rule": "other", "equal": ["asset"]}]}, "asset"),
        (BASE | {"group_interval_s": 0}, "group_interval_s"),
        (BASE | {"grup_by": "x"}, "grup_by"),
    ],
)
def test_rules_that_cannot_work_are_refused_with_the_reason(rule: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidInput, match=r"notification\.rules\.mine") as refusal:
        check("notification.rules.mine", "global", rule)
    assert reason in str(refusal.value)


@pytest.mark.parametrize(
    "template",
    [
        {"subject": "{{ nothing }}", "text": "x"},
        {"subject": "x", "text": "{{ items[0].data.nothing }}"},
        {"subject": "x", "text": "{% macro x() %}{% endmacro %}"},
        {"subject": "x", "text": "x", "html": "{{ oops"},
        {"subject": "", "text": "x"},
    ],
)
def test_templates_that_fit_nothing_are_refused(template: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        check("notification.templates.mine", "tenant", template)


@pytest.mark.parametrize(
    "channel",
    [
        {"kind": "webhook", "url": "ftp://a.example/", "secrets": ["secret:a"]},
        {"kind": "webhook", "url": "https://user:pw@a.example/", "secrets": ["secret:a"]},
        {"kind": "webhook", "url": "https://a.example/ x", "secrets": ["secret:a"]},
        {"kind": "webhook", "url": "https://a.example:99999/", "secrets": ["secret:a"]},
        {"kind": "webhook", "url": "https://a.example/#x", "secrets": ["secret:a"]},
        {
            "kind": "webhook",
            "url": "https://a.example/",
            "secrets": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
        },
        {"kind": "webhook", "url": "https://a.example/", "secrets": []},
        {"kind": "email", "users": []},
        {"kind": "pigeon"},
    ],
)
def test_channels_that_cannot_work_are_refused(channel: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        check("notification.channels.mine", "tenant", channel)


def test_what_concerns_everybody_is_not_for_a_tenant_to_set() -> None:
    for key, value in (
        ("notification.allowed_networks", ["10.0.0.0/8"]),
        ("notification.smtp", {"host": "mail.example", "sender": "a@b.example"}),
        ("notification.public_url", "https://a.example"),
    ):
        check(key, "global", value)
        with pytest.raises(InvalidInput, match="level tenant"):
            check(key, "tenant", value)
    with pytest.raises(InvalidInput):
        check("notification.allowed_networks", "global", ["10.0.0.0/33"])
