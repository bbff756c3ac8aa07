"""The Java client of Kafka 4.3: it asks for the top version of every API and trusts every array."""

import random
import shutil
import string
import subprocess
from pathlib import Path

import msgspec
import pytest

from trunkline.catalogue.events import EVENT_TYPES
from trunkline.catalogue.load import load_catalogue
from trunkline.catalogue.names import EventType
from trunkline.client.admin import ensure_topics
from trunkline.client.config import ConnectionOptions, admin_config
from trunkline.client.kafka import Admin
from trunkline.client.publisher import Publisher
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


TENANTS = 1_000


def tenant_ids() -> list[str]:
    """Every length from 1 to 64, so that every tail of the hash's four-byte steps occurs."""
    chance = random.Random(6)
    letters = string.ascii_letters + string.digits
    names = [
        f"{number}{''.join(chance.choices(letters + '._-', k=max(0, number % 64 + 1 - len(str(number)))))}"
        for number in range(TENANTS)
    ]
    assert len(set(names)) == TENANTS
    return names


@pytest.mark.timeout(400)
def test_a_tenant_lands_where_the_java_producer_puts_it(class_path: str, engine: ConnectionOptions) -> None:
    topic, tenants, catalogue = "query.execution.events", tenant_ids(), load_catalogue()
    ensure_topics(engine, catalogue, "development")
    admin = Admin(admin_config(engine))
    partitions = admin.describe([topic])[topic].partitions
    # A topic of its own: what is no event has no place on the contract's.
    admin.create("test.java.partitions", partitions=partitions, replication_factor=1, config={})
    done = subprocess.run(
        [JAVA, "-cp", class_path, "Partitions", engine.bootstrap_servers, "test.java.partitions"],
        input="\n".join(tenants),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    java = {tenant: int(number) for number, tenant in (line.split(" ") for line in done.stdout.splitlines())}
    declaration = EVENT_TYPES[EventType("query.completed.v1")]
    event = msgspec.convert(dict(declaration.example), declaration.cls)
    with Publisher(service="query-engine", connection=engine, catalogue=catalogue) as publisher:
        sent = {tenant: publisher.publish(event, tenant=tenant) for tenant in tenants}
        ours = {tenant: delivery.result(60).partition for tenant, delivery in sent.items()}
    assert ours == java
    assert set(ours.values()) == set(range(partitions))
    assert partitions > 1
