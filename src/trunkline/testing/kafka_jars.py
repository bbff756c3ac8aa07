"""Where Apache Kafka's program files come from: a distribution (`KAFKA_HOME`), or Maven and our cache."""

import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trunkline.errors import InvalidInput, Unavailable

KAFKA_VERSION: Final = "4.3.1"
"""The newest release that Strimzi 1.2 deploys."""

LOG4J_VERSION: Final = "2.25.4"
"""What `KAFKA_VERSION` is built with. The broker itself brings only the interface to a log."""

JAVA_MIN: Final = 17
MAVEN_SECONDS_MAX: Final = 600.0
JAVA_SECONDS_MAX: Final = 20.0

CACHE: Final = Path("~/.cache/trunkline")

_POM: Final = f"""\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>trunkline</groupId><artifactId>kafka</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{KAFKA_VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId>
      <version>{LOG4J_VERSION}</version>
    </dependency>
  </dependencies>
</project>
"""


class KafkaMissing(Unavailable):
    """Java or Kafka's jars are not on this machine and cannot be fetched; the text says what to install."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaJars:
    """What starts a Kafka program."""

    java: Path
    libraries: Path

    @property
    def class_path(self) -> str:
        """As `java -cp` takes it."""
        return f"{self.libraries}/*"


def find_kafka(kafka_home: Path | None, *, cache: Path = CACHE) -> KafkaJars:
    """Java and Kafka's jars: those of `kafka_home` if given, else those of the cache, which Maven fills once.

    Raises `KafkaMissing`, and `InvalidInput` if `kafka_home` is no Kafka.
    """
    java = find_java()
    if kafka_home is None:
        return KafkaJars(java=java, libraries=_cached(cache.expanduser()))
    libraries = kafka_home / "libs"
    if not any(libraries.glob("kafka_2.13-*.jar")):
        raise InvalidInput(f"KAFKA_HOME {kafka_home} has no libs/kafka_2.13-*.jar; unset it to use Maven")
    return KafkaJars(java=java, libraries=libraries)


def find_java() -> Path:
    """A `java` that runs Kafka brokers. Raises `KafkaMissing`."""
    found = shutil.which("java")
    if found is None:
        raise KafkaMissing(f"no java on the PATH: install a Java runtime, version {JAVA_MIN} or newer")
    try:
        told = subprocess.run(  # noqa: S603 - the java of the PATH
            [found, "-version"], capture_output=True, text=True, timeout=JAVA_SECONDS_MAX, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise KafkaMissing(f"{found} does not run: {error}") from error
    version = re.search(r'version "(\d+)', told.stderr)
    if version is None:
        raise KafkaMissing(f"{found} does not say which version it is: {told.stderr.strip()[:200]}")
    if int(version[1]) < JAVA_MIN:
        raise KafkaMissing(f"{found} is Java {version[1]}; Kafka {KAFKA_VERSION} needs {JAVA_MIN} or newer")
    return Path(found)


def _cached(cache: Path) -> Path:
    """Filled beside its place and moved there, so that it is either whole or absent for everybody."""
    libraries = cache / f"kafka-{KAFKA_VERSION}"
    if libraries.is_dir():
        return libraries
    maven = shutil.which("mvn")
    if maven is None:
        raise KafkaMissing(
            f"no Apache Kafka here: install Maven, or set KAFKA_HOME to an unpacked Kafka {KAFKA_VERSION}"
        )
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix="filling-") as scratch:
        filled = Path(scratch) / "libs"
        _download(maven, Path(scratch) / "pom.xml", filled)
        try:
            filled.rename(libraries)
        except OSError:
            # Another process was faster.
            if not libraries.is_dir():
                raise
    return libraries


def _download(maven: str, pom: Path, into: Path) -> None:
    pom.write_text(_POM)
    goal = ["dependency:copy-dependencies", f"-DoutputDirectory={into}", "-DincludeScope=runtime"]
    try:
        done = subprocess.run(  # noqa: S603 - the mvn of the PATH on a project of ours
            [maven, "-B", "-q", "-f", str(pom), *goal],
            capture_output=True,
            text=True,
            timeout=MAVEN_SECONDS_MAX,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise KafkaMissing(f"Maven did not fetch Kafka within {MAVEN_SECONDS_MAX:g} s") from error
    if done.returncode != 0 or not any(into.glob("kafka_2.13-*.jar")):
        complaints = [line for line in done.stdout.splitlines() if line.startswith("[ERROR]")]
        why = complaints[0].removeprefix("[ERROR]").strip() if complaints else f"exit code {done.returncode}"
        raise KafkaMissing(f"Maven cannot fetch Kafka {KAFKA_VERSION}: {why[:400]}")
