"""Programs that are missing: skipped with the reason, or a failure where the run requires them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from trunkline.errors import InvalidInput
from trunkline.testing.requirements import Requirement, is_required

ROOT = Path(__file__).parents[2]
NEEDS_KAFKA = "tests/client/test_tenants.py"
PASSED, FAILED = 0, 1


@pytest.mark.parametrize("what", Requirement)
@pytest.mark.parametrize(("value", "required"), [(None, False), ("", False), ("0", False), ("1", True)])
def test_only_1_requires(what: Requirement, value: str | None, required: bool) -> None:
    environment = {} if value is None else {f"TRUNKLINE_REQUIRE_{what}": value}
    assert is_required(what, environment) is required


def test_what_is_neither_0_nor_1_is_refused() -> None:
    with pytest.raises(InvalidInput, match="TRUNKLINE_REQUIRE_KAFKA is 'yes'; set it to 1 or 0"):
        is_required(Requirement.KAFKA, {"TRUNKLINE_REQUIRE_KAFKA": "yes"})


@pytest.mark.parametrize(("value", "code", "told"), [("0", PASSED, "SKIPPED"), ("1", FAILED, "KafkaMissing")])
def test_without_java_tests_on_kafka_are_skipped_or_fail_where_it_is_required(
    tmp_path: Path, value: str, code: int, told: str
) -> None:
    environment = {**os.environ, "PATH": str(tmp_path), "TRUNKLINE_REQUIRE_KAFKA": value}
    environment.pop("KAFKA_HOME", None)
    ran = subprocess.run(
        [*(sys.executable, "-m", "pytest", NEEDS_KAFKA), *("-m", "kafka", "-rs", "-p", "no:cacheprovider")],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == code, ran.stdout
    assert told in ran.stdout
    assert "no java on the PATH: install a Java runtime" in ran.stdout
    assert "passed" not in ran.stdout
