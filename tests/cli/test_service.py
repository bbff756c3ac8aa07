"""`trunkline service` with settings that cannot work: an error within seconds that names the setting."""

import subprocess
import sys
from pathlib import Path

import pytest


def service(data_dir: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "trunkline", "service", "audit-service", "--data-dir", data_dir, *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_a_cluster_that_never_answers_ends_it_with_exit_code_4(tmp_path: Path) -> None:
    ended = service(tmp_path, "--bootstrap-servers", "127.0.0.1:1", "--start-seconds", "1")
    assert ended.returncode == 4
    (said,) = ended.stderr.splitlines()
    assert said.startswith("error: no Kafka broker answers at 127.0.0.1:1")
    assert "--bootstrap-servers" in said


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--group-protocol", "modern"), "--group-protocol"),
        (("--instance-id", " "), "instance id"),
        (("--client-properties", "absent.properties"), "--client-properties"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_before_anything_is_done(
    tmp_path: Path, arguments: tuple[str, ...], named: str
) -> None:
    ended = service(tmp_path, *arguments)
    assert ended.returncode == 2
    assert named in ended.stderr
    assert not list(tmp_path.iterdir())
