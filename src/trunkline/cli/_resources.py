"""Manifests on the command line: those of the catalogue, and where the others are looked for."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Final

import typer

from trunkline.errors import InvalidInput, Unavailable

if TYPE_CHECKING:
    from trunkline.catalogue.model import Catalogue
    from trunkline.deploy.resource import Resource
    from trunkline.operate.kubernetes import KubernetesApi
    from trunkline.operate.manifests import Key, Manifest

IN_POD: Final = "KUBERNETES_SERVICE_HOST"
"""What Kubernetes sets in every pod."""

OnKubernetes = Annotated[
    bool, typer.Option("--kubernetes", help="Resources are in a Kubernetes API, and Strimzi acts on them.")
]
Kubeconfig = Annotated[
    Path | None,
    typer.Option(
        "--kubeconfig",
        envvar="KUBECONFIG",
        metavar="FILE",
        help="How to reach it; ~/.kube/config by default, and in a pod its service account.",
    ),
]
Context = Annotated[
    str | None, typer.Option("--context", help="Of the kubeconfig; its current one by default.")
]


def rendering() -> ModuleType:
    """The module that renders. Raises `Unavailable` where the extra is not installed."""
    try:
        import ruamel.yaml  # noqa: F401 - an extra, looked for before its absence is a traceback
    except ImportError as error:
        raise Unavailable("manifests need ruamel.yaml; pip install trunkline[deploy]") from error
    from trunkline.deploy import rendering as module

    return module


def source_of(catalogue: Path | None) -> str | None:
    """The text of a catalogue that is not the packaged one."""
    return None if catalogue is None else catalogue.read_text(encoding="utf-8")


def wanted_resources(contract: "Catalogue", environment: str, catalogue: Path | None) -> "list[Resource]":
    """Everything that the catalogue makes of the environment."""
    made: list[Resource] = rendering().resources(contract, environment, source=source_of(catalogue))
    return made


def in_files(source: str, environment: str) -> "Mapping[Key, Manifest]":
    """The manifests of a file, a directory or, for `-`, of standard input.

    Of a directory that `trunkline render` has written, those of the environment.
    """
    from trunkline.operate.manifests import read_manifests

    overlay = Path(source) / "overlays" / environment
    return read_manifests(str(overlay) if overlay.is_dir() else source, stdin=sys.stdin)


def open_api(kubeconfig: Path | None, context: str | None) -> "KubernetesApi":
    """A connection to the Kubernetes API. Raises `InvalidInput` where nothing says how to reach one."""
    try:
        from trunkline.operate.kubernetes import KubernetesApi
    except ImportError as error:
        raise Unavailable("the Kubernetes API needs lightkube; pip install trunkline[deploy]") from error
    if kubeconfig is not None:
        if os.pathsep in str(kubeconfig):
            raise InvalidInput(
                f"KUBECONFIG names several files ({kubeconfig}): give one with --kubeconfig, such as the "
                "output of `kubectl config view --flatten --minify`"
            )
        return KubernetesApi.of_kubeconfig(kubeconfig, context=context)
    own = Path.home() / ".kube" / "config"
    if own.exists():
        return KubernetesApi.of_kubeconfig(own, context=context)
    if IN_POD in os.environ:
        return KubernetesApi.in_cluster()
    raise InvalidInput(f"no {own}: say with --kubeconfig FILE how to reach the Kubernetes API")
