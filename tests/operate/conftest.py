"""Fixtures of the tests against a Kubernetes API: one server for all of them, and a namespace for each."""

import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from trunkline.operate.kubernetes import KubernetesApi
from trunkline.testing.kube_api import KubernetesServer
from trunkline.testing.kube_people import Somebody
from trunkline.testing.kube_programs import KubernetesMissing, find_kubernetes
from trunkline.testing.requirements import Requirement, is_required

SCHEMAS = Path(__file__).parents[3] / "shared" / "schemas"

_NUMBERS = count(1)


@pytest.fixture(scope="session")
def kubernetes_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubernetesServer]:
    """A real API server that all tests share. Skips where none can be had, unless the run requires it."""
    is_wanted = is_required(Requirement.KUBERNETES, os.environ)
    if not SCHEMAS.is_dir():
        missing = f"no CRDs for a Kubernetes API: {SCHEMAS} is not there"
        if is_wanted:
            pytest.fail(missing)
        pytest.skip(missing)
    try:
        find_kubernetes()
    except KubernetesMissing as missing_programs:
        if is_wanted:
            raise
        pytest.skip(str(missing_programs))
    with KubernetesServer(tmp_path_factory.mktemp("kubernetes"), schemas=SCHEMAS) as server:
        yield server


@pytest.fixture
def api(kubernetes_server: KubernetesServer) -> Iterator[KubernetesApi]:
    """A connection of somebody who may do everything."""
    with KubernetesApi.of_kubeconfig(kubernetes_server.kubeconfig()) as connected:
        yield connected


@pytest.fixture
def somebody(kubernetes_server: KubernetesServer) -> Somebody:
    """Who edits resources behind our back."""
    return Somebody(kubernetes_server)


@pytest.fixture
def namespace(api: KubernetesApi) -> str:
    """A new and empty one."""
    name = f"test-{next(_NUMBERS)}"
    api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    return name
