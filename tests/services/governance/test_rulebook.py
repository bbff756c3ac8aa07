"""The narrowest rule holds; a bad one changes nothing and is shown."""

from collections.abc import Mapping
from typing import Any

import pytest

from trunkline.client.broadcast.entries import Reason, Resolution
from trunkline.errors import InvalidInput
from trunkline.services.governance.rulebook import DEFAULTS, Rulebook
from trunkline.services.kit.settings import FixedSettings
from trunkline.services.settings.governance import PREFIX, TRIGGERS, Trigger
from trunkline.services.settings.registry import check


class Settings(FixedSettings):
    """Settings that a test changes."""

    def __init__(self) -> None:
        super().__init__()
        self.values: dict[tuple[str | None, str], Any] = {}

    def set(self, key: str, value: Any, *, tenant: str | None = None) -> None:
        self.values[tenant, PREFIX + key] = value

    def under(self, prefix: str) -> Mapping[tuple[str | None, str], Resolution]:
        return {
            place: Resolution(value, "global", 1, Reason.FOUND)
            for place, value in self.values.items()
            if place[1].startswith(prefix)
        }


def test_without_any_setting_the_defaults_hold() -> None:
    rules = Rulebook(Settings()).of("acme")
    assert dict(rules.triggers)["error"] == Trigger(fails=1, runs=1, mode="enforce")
    assert dict(rules.triggers)["warning"].mode == "off"
    assert rules.release_passes == 2
    assert rules.exempt_roles == ("data-steward",)


def test_every_default_could_be_set() -> None:
    for key, value in DEFAULTS.items():
        plain = (
            {"fails": value.fails, "runs": value.runs, "mode": value.mode}
            if key.split(".")[2] in TRIGGERS
            else value
        )
        check(key, "global", plain)


def test_the_rule_of_a_tenant_goes_before_that_of_everybody() -> None:
    settings = Settings()
    settings.set("release_passes", 5)
    settings.set("release_passes", 7, tenant="acme")
    rulebook = Rulebook(settings)
    assert (rulebook.of("acme").release_passes, rulebook.of("globex").release_passes) == (7, 5)


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("error", {"fails": 5, "runs": 2}, "5 failures in 2 runs cannot be"),
        ("error", {"fails": 0, "runs": 2}, ">= 1"),
        ("error", {"fails": 1, "runs": 21}, "<= 20"),
        ("error", {"fails": 1, "runs": 1, "mode": "deny"}, "Invalid enum value 'deny'"),
        ("error", {"fails": 1, "runs": 1, "modes": "warn"}, "unknown field"),
        ("release_passes", 0, ">= 1"),
        ("exempt_roles", ['x"] }; permit (principal, action, resource);'], "matching regex"),
        ("errors", {}, "no setting"),
    ],
)
def test_a_bad_rule_is_refused_when_set_and_when_it_arrives_anyway(key: str, value: Any, why: str) -> None:
    with pytest.raises(InvalidInput):
        check(PREFIX + key, "tenant", value)
    settings = Settings()
    settings.set("error", {"fails": 3, "runs": 4})
    settings.set("release_passes", 9)
    rulebook = Rulebook(settings)
    before = rulebook.of("acme")
    settings.set(key, value)
    rulebook.refresh()
    assert rulebook.of("acme") == before
    (refusal,) = rulebook.refusals
    assert refusal.key == PREFIX + key
    assert why in refusal.reason


def test_a_rule_that_is_good_again_holds() -> None:
    settings = Settings()
    settings.set("release_passes", 0)
    rulebook = Rulebook(settings)
    assert rulebook.of("acme").release_passes == 2
    settings.set("release_passes", 3)
    rulebook.refresh()
    assert rulebook.of("acme").release_passes == 3
    assert rulebook.refusals == ()


def test_a_rule_that_is_unset_gives_way_to_the_default() -> None:
    settings = Settings()
    settings.set("release_passes", 9)
    rulebook = Rulebook(settings)
    settings.values.clear()
    rulebook.refresh()
    assert rulebook.of("acme").release_passes == 2
