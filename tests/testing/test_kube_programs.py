"""Where an API server's programs come from, and what is said where they cannot be had."""

import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from trunkline.testing import kube_programs
from trunkline.testing.kube_programs import (
    KUBERNETES_VERSION,
    MODULE,
    KubernetesMissing,
    build_kubernetes,
    find_kubernetes,
)

ROOT = Path(__file__).parents[2]
PASSED, FAILED = 0, 1


def go_that(directory: Path, *, says: str, builds: str) -> None:
    """A program in place of Go."""
    file = directory / "go"
    file.write_text(f'#!/bin/sh\nif [ "$1" = env ]; then echo {says}; exit 0; fi\n{builds}\n')
    file.chmod(file.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH of the test's own, before the machine's."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(kube_programs, "GO_HOMES", ())
    return tmp_path


def test_all_modules_of_kubernetes_have_the_version_that_is_said() -> None:
    text = (MODULE / "go.mod").read_text()
    assert re.search(rf"k8s.io/kubernetes v{KUBERNETES_VERSION}( |$)", text, re.MULTILINE)
    minor, patch = KUBERNETES_VERSION.split(".")[1:]
    replaced = re.findall(r"^\tk8s\.io/\S+ => k8s\.io/\S+ (\S+)$", text, re.MULTILINE)
    assert len(replaced) > 20
    assert set(replaced) == {f"v0.{minor}.{patch}"}


def test_without_go_it_says_what_to_install(
    alone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(alone))
    with pytest.raises(KubernetesMissing, match=r"no go on the PATH: install Go 1.26 or newer"):
        build_kubernetes(cache=tmp_path / "cache")


@pytest.mark.parametrize("says", ["go1.19.8", "nonsense", "''"])
def test_an_old_go_is_refused(alone: Path, tmp_path: Path, says: str) -> None:
    go_that(alone, says=says, builds="exit 1")
    with pytest.raises(KubernetesMissing, match=r"an API server is built with 1.26 or newer"):
        build_kubernetes(cache=tmp_path / "cache")


def test_what_go_complains_of_is_told_and_leaves_nothing(alone: Path, tmp_path: Path) -> None:
    builds = "echo go: downloading x >&2; echo no network >&2; echo go: downloading y >&2; exit 1"
    go_that(alone, says="go1.26.8", builds=builds)
    with pytest.raises(
        KubernetesMissing, match=r"Go cannot build k8s.io/kubernetes/cmd/kube-apiserver: no network"
    ):
        build_kubernetes(cache=tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_what_is_built_is_kept(alone: Path, tmp_path: Path) -> None:
    builds = (
        'for one in "$@"; do case "$one" in -o=*) echo built > "${one#-o=}";; esac; done; echo >> '
        + f"{tmp_path}/times"
    )
    go_that(alone, says="go1.27rc1", builds=builds)
    with pytest.raises(KubernetesMissing, match=r"`python -m trunkline.testing.kube_programs` builds one"):
        find_kubernetes(cache=tmp_path / "cache")
    first = build_kubernetes(cache=tmp_path / "cache")
    assert first.etcd.read_text() == first.api_server.read_text() == "built\n"
    assert find_kubernetes(cache=tmp_path / "cache") == build_kubernetes(cache=tmp_path / "cache") == first
    assert len((tmp_path / "times").read_text().splitlines()) == 2


def run(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_command_says_what_is_missing_without_a_traceback(alone: Path, tmp_path: Path) -> None:
    go_that(alone, says="go1.19.8", builds="exit 1")
    ran = run("trunkline.testing.kube_programs", HOME=str(tmp_path))
    assert ran.returncode == KubernetesMissing.exit_code
    assert ran.stderr.endswith("an API server is built with 1.26 or newer\n")
    assert "Traceback" not in ran.stderr


@pytest.mark.slow
@pytest.mark.parametrize(("value", "code", "told"), [("0", PASSED, "SKIPPED"), ("1", FAILED, "Kubernetes")])
def test_without_an_api_tests_that_need_one_are_skipped_or_fail_where_it_is_required(
    tmp_path: Path, value: str, code: int, told: str
) -> None:
    options = ("-m", "slow", "-rs", "-p", "no:cacheprovider")
    ran = run(
        *("pytest", "tests/operate/test_kubernetes.py", *options),
        HOME=str(tmp_path),
        TRUNKLINE_REQUIRE_KUBERNETES=value,
    )
    assert ran.returncode == code, ran.stdout
    assert told in ran.stdout
    assert "no Kubernetes API here" in ran.stdout or "no CRDs for a Kubernetes API" in ran.stdout
    assert "passed" not in ran.stdout
