"""What is configured, and what is refused."""

from pathlib import Path

from trunkline.services.quality.options import OptionsBook
from trunkline.services.quality.windows import DAY_US, MINUTE_US
from trunkline.testing.service_desk import service_desk
from trunkline.testing.suite.harness import NOW


def test_what_is_set_holds_and_what_makes_no_sense_is_refused(tmp_path: Path) -> None:
    given = {
        "quality.window_minutes": 60,
        "quality.threshold": "much",
        "quality.colour": "red",
        "quality.monitors.a": {"asset": "urn:table:staging.*", "enabled": False},
        "quality.monitors.b": {"asset": "*", "metrics": ["latency"], "threshold": 9},
    }
    with service_desk(
        "data-quality-service", f"sqlite:///{tmp_path / 'a.db'}", tmp_path, now=NOW, settings=given
    ) as desk:
        book = OptionsBook(desk.context.settings)
        options = book.of("acme")
        assert options.width_us == 60 * MINUTE_US
        assert {key for _, key in book.refused} == {"quality.threshold", "quality.colour"}
        assert options.threshold_of("urn:table:staging.x", "schema") is None
        assert options.threshold_of("urn:table:main.x", "latency") == 9
        assert options.threshold_of("urn:table:main.x", "schema") == 3.5
        refused = desk.client().get("/v1/settings/refused").json()
        assert "quality.colour" in refused
        sample = desk.context.registry.get_sample_value("trunkline_quality_settings_refused")
        assert sample == 2


def test_a_day_is_the_window_unless_set(tmp_path: Path) -> None:
    with service_desk("data-quality-service", f"sqlite:///{tmp_path / 'a.db'}", tmp_path, now=NOW) as desk:
        assert OptionsBook(desk.context.settings).of("acme").width_us == DAY_US
