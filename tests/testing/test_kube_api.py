"""A Kubernetes API of a test's own: it knows our kinds, and ends with whoever started it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from trunkline.operate.kubernetes import KubernetesApi
from trunkline.testing.consuming import eventually
from trunkline.testing.kube_api import KubernetesDidNotStart, KubernetesServer
from trunkline.testing.kube_programs import KubernetesMissing, find_kubernetes
from trunkline.testing.requirements import Requirement, is_required

OWNER = """
import sys, time
from pathlib import Path
from trunkline.testing.kube_api import KubernetesServer
with KubernetesServer(Path(sys.argv[1])) as server:
    print("ready", flush=True)
    time.sleep(600)
"""

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def programs() -> None:
    """Skips where there are none, unless the run requires them."""
    try:
        find_kubernetes()
    except KubernetesMissing as missing:
        if is_required(Requirement.KUBERNETES, os.environ):
            raise
        pytest.skip(str(missing))


def running(directory: Path) -> list[str]:
    """The programs that work with files of this directory."""
    found = []
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = line.read_bytes().split(b"\0")
        except OSError:
            continue
        if any(str(directory).encode() in word for word in words) and b"kafka_keeper" not in b" ".join(words):
            found.append(Path(words[0].decode()).name)
    return sorted(found)


def test_it_answers_until_it_is_closed(tmp_path: Path) -> None:
    with KubernetesServer(tmp_path) as server:
        assert running(tmp_path) == ["etcd", "kube-apiserver"]
        with KubernetesApi.of_kubeconfig(server.kubeconfig()) as api:
            assert api.listed([("keda.sh/v1alpha1", "ScaledObject", "")], {}) == {}
            assert ("v1", "Namespace", "", "kube-system") in api.listed([("v1", "Namespace", "")], {})
    assert running(tmp_path) == []


def test_it_ends_with_an_owner_that_is_killed(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path / "server")], stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "ready\n"
        owner.kill()
    eventually(lambda: running(tmp_path / "server") == [])


def test_a_program_that_ends_at_once_is_told_with_its_last_words(tmp_path: Path) -> None:
    (tmp_path / "etcd").write_text("no directory")
    with pytest.raises(KubernetesDidNotStart, match=r"etcd ended \(code \d+\): .*\(log: .*etcd.log\)"):
        KubernetesServer(tmp_path).__enter__()
    assert running(tmp_path) == []
