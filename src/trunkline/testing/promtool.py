"""Alerts tried in Prometheus's own engine: `promtool`, from Debian's package `prometheus`."""

import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from trunkline.errors import TrunklineError

_TEMPLATE = re.compile(r"{{ \$(?:labels\.(?P<label>\w+)|value)(?: \| [^}]+)? }}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A course of events, a sample a minute, in which an alert fires once and resolves.

    `series` are in promtool's notation, such as `0x5 1x30`; the three times are PromQL durations. `value` is
    what `{{ $value }}` reads as, formatted.
    """

    alert: str
    series: Mapping[str, str]
    fires: str
    quiet_before: str
    quiet_after: str
    labels: Mapping[str, str]
    value: str = ""


class PromtoolMissing(TrunklineError):  # noqa: N818 - named for what is the case
    """There is no promtool on the path."""


def find_promtool() -> Path:
    """The program. Raises `PromtoolMissing` where it is not installed."""
    found = shutil.which("promtool")
    if found is None:
        raise PromtoolMissing("no promtool (apt-get install --no-install-recommends prometheus)")
    return Path(found)


def check_rules(promtool: Path, groups: Sequence[Mapping[str, Any]], directory: Path) -> str:
    """What `promtool check rules` finds wrong with these groups; empty if nothing is."""
    return _run([str(promtool), "check", "rules", str(_write(directory / "rules.yaml", {"groups": groups}))])


def check_expressions(promtool: Path, expressions: Iterable[str], directory: Path) -> str:
    """What is wrong with these PromQL expressions, each tried as a recording rule."""
    rules = [
        {"record": f"tried:expression:{number}", "expr": expr} for number, expr in enumerate(expressions)
    ]
    return check_rules(promtool, [{"name": "tried", "rules": rules}], directory)


def try_alerts(
    promtool: Path, groups: Sequence[Mapping[str, Any]], trials: Iterable[Trial], directory: Path
) -> str:
    """What `promtool test rules` says against these trials; empty if every alert did as it should.

    Alerts are compared whole: labels and what the annotations read like.
    """
    alone = {rule["alert"]: {**group, "rules": [rule]} for group in groups for rule in group["rules"]}
    files: list[str] = []
    for number, trial in enumerate(trials):
        # Each rule alone: some trials last a day, of which every minute all rules of a file are evaluated.
        group = alone[trial.alert]
        rules = _write(directory / f"rules-{number}.yaml", {"groups": [group]})
        tests = {
            "rule_files": [rules.name],
            "evaluation_interval": "1m",
            "tests": [_test(group["rules"][0], trial)],
        }
        files.append(str(_write(directory / f"tests-{number}.yaml", tests)))
    return _run([str(promtool), "test", "rules", *files])


def _test(rule: Mapping[str, Any], trial: Trial) -> dict[str, Any]:
    labels = {**rule["labels"], **trial.labels}
    expected = {
        "exp_labels": labels,
        "exp_annotations": {
            name: _read(text, labels, trial.value) for name, text in rule["annotations"].items()
        },
    }
    times: tuple[tuple[str, list[dict[str, Any]]], ...] = (
        (trial.quiet_before, []),
        (trial.fires, [expected]),
        (trial.quiet_after, []),
    )
    return {
        "name": trial.alert,
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in trial.series.items()],
        "alert_rule_test": [
            {"eval_time": time, "alertname": trial.alert, "exp_alerts": alerts} for time, alerts in times
        ],
    }


def _read(template: str, labels: Mapping[str, str], value: str) -> str:
    """A template as it should read with these labels and this value."""
    return _TEMPLATE.sub(lambda found: labels[found["label"]] if found["label"] else value, template)


def _write(path: Path, content: Mapping[str, Any]) -> Path:
    path.write_text(yaml.safe_dump(content, sort_keys=False, width=10_000), encoding="utf-8")
    return path


def _run(command: Sequence[str]) -> str:
    done = subprocess.run(  # noqa: S603 - the promtool of the PATH
        command, capture_output=True, text=True, check=False, timeout=120
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr
