"""Where Kafka comes from, with programs of our own on the PATH instead of Java and Maven."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from trunkline.errors import InvalidInput
from trunkline.testing.kafka_jars import KAFKA_VERSION, KafkaMissing, find_kafka

JAVA = """echo 'openjdk version "{}"' >&2"""
MAVEN = """
for argument; do case $argument in -DoutputDirectory=*) into=${argument#*=} ;; esac; done
mkdir -p "$into" && : > "$into/kafka_2.13-x.jar"
"""

Install = Callable[[str, str], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Puts a shell script on a PATH that otherwise has only the system's own tools."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for tool in ("mkdir", "sh"):
        (programs / tool).symlink_to(f"/bin/{tool}")
    monkeypatch.setenv("PATH", str(programs))

    def write(name: str, script: str) -> None:
        program = programs / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)

    return write


def test_without_java_it_says_what_to_install(install: Install, tmp_path: Path) -> None:
    with pytest.raises(KafkaMissing, match="no java on the PATH: install"):
        find_kafka(None, cache=tmp_path)


@pytest.mark.parametrize("version", ["11.0.2", "1.8.0_392"])
def test_an_old_java_is_named(install: Install, tmp_path: Path, version: str) -> None:
    install("java", JAVA.format(version))
    with pytest.raises(KafkaMissing, match=rf"java is Java {version.split('.', maxsplit=1)[0]}; Kafka .* 17"):
        find_kafka(None, cache=tmp_path)


def test_a_java_that_does_not_run_is_named(install: Install, tmp_path: Path) -> None:
    install("java", "echo 'no such VM' >&2; exit 1")
    with pytest.raises(KafkaMissing, match="no such VM"):
        find_kafka(None, cache=tmp_path)


def test_without_maven_it_says_what_to_set(install: Install, tmp_path: Path) -> None:
    install("java", JAVA.format("17.0.1"))
    with pytest.raises(KafkaMissing, match=f"install Maven, or set KAFKA_HOME .*{KAFKA_VERSION}"):
        find_kafka(None, cache=tmp_path)


def test_mavens_complaint_is_passed_on_and_nothing_is_cached(install: Install, tmp_path: Path) -> None:
    install("java", JAVA.format("21"))
    install("mvn", "echo '[ERROR] Could not find artifact kafka_2.13'; exit 1")
    with pytest.raises(KafkaMissing, match=r"cannot fetch Kafka .*: Could not find artifact"):
        find_kafka(None, cache=tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_the_cache_is_filled_once(install: Install, tmp_path: Path) -> None:
    install("java", JAVA.format("21"))
    install("mvn", MAVEN)
    first = find_kafka(None, cache=tmp_path / "cache")
    install("mvn", "exit 1")
    assert find_kafka(None, cache=tmp_path / "cache") == first
    assert first.class_path.endswith(f"kafka-{KAFKA_VERSION}/*")


def test_two_that_fill_the_cache_at_once_both_get_it(install: Install, tmp_path: Path) -> None:
    install("java", JAVA.format("21"))
    # Each waits until the other has begun as well.
    install(
        "mvn", f': > "{tmp_path}/$$.begun"\nwhile set -- "{tmp_path}"/*.begun; [ $# -lt 2 ]; do :; done\n'
    )
    script = (tmp_path / "bin" / "mvn").read_text()
    install("mvn", 'arguments="$*"\n' + script.partition("\n")[2] + "set -- $arguments\n" + MAVEN)
    found: list[Path] = []

    def find() -> None:
        found.append(find_kafka(None, cache=tmp_path / "cache").libraries)

    both = [threading.Thread(target=find) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join(20)
    assert found == [tmp_path / "cache" / f"kafka-{KAFKA_VERSION}"] * 2
    assert list((tmp_path / "cache").iterdir()) == [found[0]]


def test_a_distribution_is_taken_as_it_is(install: Install, tmp_path: Path) -> None:
    install("java", JAVA.format("17"))
    (tmp_path / "libs").mkdir()
    (tmp_path / "libs" / "kafka_2.13-4.3.1.jar").touch()
    assert find_kafka(tmp_path).libraries == tmp_path / "libs"


def test_a_directory_that_is_no_distribution_is_refused(install: Install, tmp_path: Path) -> None:
    install("java", JAVA.format("17"))
    with pytest.raises(InvalidInput, match=r"KAFKA_HOME .* has no libs/kafka"):
        find_kafka(tmp_path)
