"""Where a Kubernetes API's program files come from: Go builds them once, into our cache.

    python -m trunkline.testing.kube_programs

The versions of both, and of everything in them, are pinned by `kube_apiserver/go.mod` and `go.sum`.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trunkline.errors import TrunklineError, Unavailable
from trunkline.testing.kafka_jars import CACHE

MODULE: Final = Path(__file__).with_name("kube_apiserver")
"""Our Go module: it has no code of its own and requires the two programs."""

KUBERNETES_VERSION: Final = "1.36.3"
"""Strimzi 1.2 runs on Kubernetes 1.30 and newer. The same version stands in go.mod."""

GO_MIN: Final = (1, 26)
"""What this Kubernetes asks for, and go.mod with it."""

GO_HOMES: Final = (Path("/usr/local/go/bin"), Path("/usr/lib/go/bin"))
"""Where Go is installed without being on the PATH."""

BUILD_SECONDS_MAX: Final = 1_500.0
"""From nothing two cores take three minutes, and much longer where others need them too."""

_STAMP: Final = "k8s.io/component-base/version"
_MAJOR, _MINOR, _ = KUBERNETES_VERSION.split(".")
_STAMPS: Final = {"gitVersion": f"v{KUBERNETES_VERSION}", "gitMajor": _MAJOR, "gitMinor": _MINOR}
_PACKAGES: Final = {
    "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
    "etcd": "go.etcd.io/etcd/server/v3",
}


class KubernetesMissing(Unavailable):
    """Go is not on this machine, or cannot build the API server; the text says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KubePrograms:
    """What starts a Kubernetes API."""

    etcd: Path
    api_server: Path


def find_kubernetes(*, cache: Path = CACHE) -> KubePrograms:
    """The programs of the cache. Raises `KubernetesMissing` where they have not been built."""
    kept = _kept(cache)
    if not kept.is_dir():
        raise KubernetesMissing(
            "no Kubernetes API here: `python -m trunkline.testing.kube_programs` builds one in a few "
            f"minutes, with Go {_text(GO_MIN)} or newer"
        )
    return KubePrograms(etcd=kept / "etcd", api_server=kept / "kube-apiserver")


def build_kubernetes(*, cache: Path = CACHE) -> KubePrograms:
    """The programs of the cache, built by Go where they are not there. Raises `KubernetesMissing`."""
    kept = _kept(cache)
    if not kept.is_dir():
        _fill(kept, _go())
    return find_kubernetes(cache=cache)


def _kept(cache: Path) -> Path:
    return cache.expanduser() / f"kubernetes-{KUBERNETES_VERSION}"


def _text(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))


def _go() -> str:
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *map(str, GO_HOMES)])
    found = shutil.which("go", path=path)
    wanted = _text(GO_MIN)
    if found is None:
        raise KubernetesMissing(
            f"no go on the PATH: install Go {wanted} or newer, which builds an API server"
        )
    told = subprocess.run([found, "env", "GOVERSION"], capture_output=True, text=True, check=False)  # noqa: S603 - the go of the PATH
    version = re.match(r"go(\d+)\.(\d+)", told.stdout)
    if version is None or (int(version[1]), int(version[2])) < GO_MIN:
        told_version = told.stdout.strip() or "of no version"
        raise KubernetesMissing(f"{found} is {told_version}; an API server is built with {wanted} or newer")
    return found


def _fill(kept: Path, go: str) -> None:
    """Filled beside its place and moved there, so that it is either whole or absent for everybody."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent, prefix="filling-") as scratch:
        built = Path(scratch) / "programs"
        built.mkdir()
        for name, package in _PACKAGES.items():
            _build(go, package, built / name, scratch=Path(scratch))
        try:
            built.rename(kept)
        except OSError:
            # Another process was faster.
            if not kept.is_dir():
                raise


def _build(go: str, package: str, into: Path, *, scratch: Path) -> None:
    stamps = " ".join(f"-X {_STAMP}.{name}={value}" for name, value in _STAMPS.items())
    options = ["-trimpath", "-mod=readonly", f"-ldflags=-s -w {stamps}", f"-o={into}"]
    try:
        done = subprocess.run(  # noqa: S603 - the go of the PATH on a module of ours
            [go, "build", *options, package],
            cwd=MODULE,
            capture_output=True,
            text=True,
            timeout=BUILD_SECONDS_MAX,
            check=False,
            # Its cache of two gigabytes serves nothing else, so it goes when the programs are built.
            env={**os.environ, "GOTOOLCHAIN": "local", "GOWORK": "off", "GOCACHE": str(scratch / "objects")},
        )
    except subprocess.TimeoutExpired as error:
        raise KubernetesMissing(f"Go did not build {package} within {BUILD_SECONDS_MAX:g} s") from error
    if done.returncode != 0:
        complaints = [line for line in done.stderr.splitlines() if not line.startswith("go: downloading")]
        why = complaints[-1] if complaints else f"exit code {done.returncode}"
        raise KubernetesMissing(f"Go cannot build {package}: {why[:400]}")


def main() -> int:
    """Build what is missing, and say where it is."""
    try:
        programs = build_kubernetes()
    except TrunklineError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    sys.stdout.write(f"Kubernetes {KUBERNETES_VERSION}: {programs.api_server.parent}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
