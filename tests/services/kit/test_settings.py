"""Settings at one moment: the same answers as an instance that follows them."""

from datetime import UTC, datetime
from typing import Any

from trunkline.catalogue.events.config import ConfigValueSet, Level
from trunkline.catalogue.names import SYSTEM_TENANT
from trunkline.client.broadcast.entries import Reason
from trunkline.client.broadcast.state import State
from trunkline.codec import new_envelope
from trunkline.services.kit.settings import FixedSettings


def settings(*entries: tuple[Level, str | None, str, Any]) -> FixedSettings:
    state = State()
    for number, (level, scope, key, value) in enumerate(entries, 1):
        event = ConfigValueSet(key=key, level=level, scope=scope, value=value, version=number, actor_id="u-1")
        moment = datetime(2026, 11, 23, tzinfo=UTC)
        state.apply(new_envelope(event, tenant=SYSTEM_TENANT, source="/s", time=moment))
    return FixedSettings(state.view(), service="billing-service", environment="production")


def test_the_narrowest_level_wins() -> None:
    found = settings(
        ("global", None, "billing.meters.a", 1),
        ("environment", "production", "billing.meters.a", 2),
        ("service", "billing-service", "billing.meters.a", 3),
        ("service", "other-service", "billing.meters.a", 4),
        ("tenant", "acme", "billing.meters.a", 5),
    )
    assert found.resolve("billing.meters.a").value == 3
    assert found.resolve("billing.meters.a", tenant="acme").value == 5
    assert found.resolve("billing.meters.a", tenant="globex").value == 3
    assert found.resolve("billing.meters.b", default=9).reason is Reason.DEFAULT


def test_everything_under_a_prefix_is_found_once_by_tenant_and_key() -> None:
    found = settings(
        ("global", None, "billing.meters.a", 1),
        ("environment", "production", "billing.meters.a", 2),
        ("environment", "development", "billing.meters.c", 3),
        ("tenant", "acme", "billing.meters.a", 5),
        ("tenant", "acme", "billing.plans.x", 6),
    ).under("billing.meters.")
    assert {name: value.value for name, value in found.items()} == {
        (None, "billing.meters.a"): 2,
        ("acme", "billing.meters.a"): 5,
    }


def test_a_flag_that_nobody_has_set_is_its_default() -> None:
    assert settings().flag("ui.new", tenant="acme", default=True).value is True
