"""Somebody else at a Kubernetes API: who edits, deletes and grants with plain requests, as kubectl does."""

import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any, Final

from trunkline.errors import TrunklineError
from trunkline.testing.kube_api import KubernetesServer

ROLES: Final = "rbac.authorization.k8s.io/v1"
MERGE: Final = "application/merge-patch+json"
SECONDS_MAX: Final = 30.0

Manifest = Mapping[str, Any]


class Somebody:
    """Has all rights. Edits are noted with the field manager `manager`. Raises `TrunklineError`."""

    def __init__(self, server: KubernetesServer, *, manager: str = "kubectl-edit") -> None:
        self._server = server
        self._manager = manager

    def edit(self, manifest: Manifest, patch: Mapping[str, Any]) -> dict[str, Any]:
        """Change fields of the resource by a merge patch; of `manifest` only the key counts."""
        return self._ask("PATCH", f"{_address(manifest)}?fieldManager={self._manager}", patch)

    def set_status(self, manifest: Manifest, status: Mapping[str, Any]) -> dict[str, Any]:
        """What an operator would say of it."""
        return self._ask("PATCH", f"{_address(manifest)}/status?fieldManager=operator", {"status": status})

    def delete(self, manifest: Manifest) -> None:
        """Delete the resource."""
        self._ask("DELETE", _address(manifest), None)

    def grant(self, user: str, namespace: str, resource: str, verbs: Sequence[str]) -> None:
        """Let a user do something with a kind of Strimzi's, by its plural; it takes the server a moment."""
        metadata = {"name": f"for-{user}", "namespace": namespace}
        rule = {"apiGroups": ["kafka.strimzi.io"], "resources": [resource], "verbs": list(verbs)}
        role = {"apiVersion": ROLES, "kind": "Role", "metadata": metadata, "rules": [rule]}
        binding = {
            "apiVersion": ROLES,
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": metadata["name"]},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
        }
        for one in (role, binding):
            self._ask("POST", _address(one).rpartition("/")[0], one)

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None) -> dict[str, Any]:
        asked = urllib.request.Request(  # noqa: S310 - the test's own server
            f"{self._server.url}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": f"Bearer {self._server.token()}",
                "Content-Type": MERGE if method == "PATCH" else "application/json",
            },
        )
        trusted = ssl.create_default_context(cafile=str(self._server.certificate))
        try:
            with urllib.request.urlopen(asked, timeout=SECONDS_MAX, context=trusted) as answer:  # noqa: S310 - as above
                answered: dict[str, Any] = json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                raise TrunklineError(f"{method} {path}: {error.read().decode()}") from error
        return answered


def _address(manifest: Manifest) -> str:
    api_version, metadata = manifest["apiVersion"], manifest["metadata"]
    root = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
    plural = f"{manifest['kind'].lower()}s"
    if plural.endswith("ys"):
        plural = f"{plural[:-2]}ies"
    return f"{root}/namespaces/{metadata['namespace']}/{plural}/{metadata['name']}"
