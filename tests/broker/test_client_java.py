"""The Java client of Kafka 4.3: it asks for the top version of every API and trusts every array."""

import shutil
import subprocess
from pathlib import Path

import pytest

from trunkline.testing.processes import BrokerProcess

MAVEN, JAVA = shutil.which("mvn") or "", shutil.which("java") or ""
PROJECT = Path(__file__).with_name("java")
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
STEPS = {
    "create",
    "create answers configs",
    "describe",
    "cluster",
    *(f"produce {codec}" for codec in CODECS),
    "consume",
    "commit",
    "end offsets",
    "times",
    "list groups",
    "describe group",
    "group offsets",
    "latest",
    "configs",
    "grow",
    "log dirs",
    "delete",
}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (MAVEN and JAVA), reason="Java and Maven are not installed"),
]


@pytest.fixture(scope="module")
def class_path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The compiled client and its libraries."""
    out = tmp_path_factory.mktemp("java")
    libraries = out / "libraries"
    built = subprocess.run(
        [
            MAVEN,
            "-q",
            "-B",
            "-f",
            str(PROJECT / "pom.xml"),
            f"-Dout={out}",
            f"-Dmdep.outputFile={libraries}",
            "compile",
            "dependency:build-classpath",
        ],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if built.returncode != 0 and "Could not transfer" in built.stdout:
        pytest.skip("Maven cannot reach a repository")
    assert built.returncode == 0, built.stdout
    return f"{out / 'classes'}:{libraries.read_text().strip()}"


@pytest.mark.timeout(400)
def test_the_java_client_produces_consumes_and_administers(class_path: str, broker: BrokerProcess) -> None:
    done = subprocess.run(
        [JAVA, "-cp", class_path, "Smoke", broker.address, "test.java.smoke"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert {line.removeprefix("ok ") for line in done.stdout.splitlines()} == STEPS
