"""The Kubernetes API, for the kinds that we render: read, listed, and applied on the server's side.

The connection (kubeconfig, certificates, tokens, plugins) is lightkube's, and this is the only module that
knows it. Requests are our own: lightkube cannot ask for strict validation, without which the server drops
the fields that it does not know and says nothing.

https://kubernetes.io/docs/reference/using-api/server-side-apply/
"""

import ssl
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import httpx2 as httpx
import msgspec
import yaml
from lightkube.config.client_adapter import Client, ConnectionParams
from lightkube.config.kubeconfig import SERVICE_ACCOUNT, KubeConfig, SingleConfig
from lightkube.config.models import User
from lightkube.core.exceptions import ConfigError

from trunkline.errors import InvalidInput, TrunklineError
from trunkline.operate.kubernetes_errors import Call, KindMissing, KubernetesUnavailable, refusal
from trunkline.operate.manifests import Key, Manifest, key_of
from trunkline.operate.ownership import FIELD_MANAGER

SECONDS_MAX: Final = 30.0
"""For one request; nothing that we render takes the server a second."""

PAGE: Final = 500
"""How many resources one answer holds at most: what kubectl asks for."""

APPLY: Final = "application/apply-patch+yaml"
MERGE: Final = "application/merge-patch+json"

_EXEC: Final = "client.authentication.k8s.io"
_UNREADABLE: Final = (
    *(ConfigError, httpx.InvalidURL, yaml.YAMLError),
    *(KeyError, TypeError, AttributeError, ValueError, OSError),
)
"""All that the reading of a broken kubeconfig, or of the certificates that it names, raises."""

_PLUGIN_FAILED: Final = (ConfigError, OSError, KeyError, TypeError, ValueError)
"""What a plugin for credentials raises that is missing, fails, or answers something else than a token."""


class _Kind(msgspec.Struct, frozen=True):
    """How the API calls a kind in addresses."""

    name: str
    kind: str
    namespaced: bool


class _Kinds(msgspec.Struct, frozen=True):
    resources: list[_Kind]


class _Metadata(msgspec.Struct, frozen=True):
    next: str = msgspec.field(name="continue", default="")


class _Page(msgspec.Struct, frozen=True):
    items: list[dict[str, Any]]
    metadata: _Metadata = _Metadata()


class KubernetesApi:
    """A connection to one API server; a context manager. It never deletes a resource.

    Every method raises `KubernetesUnavailable` where nobody answers, `KubernetesForbidden` for a missing
    right, and `KindMissing` for a kind that the server does not know.
    """

    def __init__(self, config: SingleConfig) -> None:
        """Of a kubeconfig's chosen context. Raises `InvalidInput` for what cannot be connected with."""
        self.context = config.context_name
        self.server = config.cluster.server
        self._kinds: dict[str, dict[str, _Kind]] = {}
        try:
            # Proxies are taken from the environment, as kubectl does.
            self._http = Client(_usable(config), ConnectionParams(timeout=httpx.Timeout(SECONDS_MAX)))
        except _UNREADABLE as error:
            raise InvalidInput(f"context {self.context} cannot be used: {_line(error)}") from error

    @classmethod
    def of_kubeconfig(cls, path: Path, *, context: str | None = None) -> Self:
        """By a kubeconfig's context, or its current one. Raises `InvalidInput` for a file that is none."""
        try:
            config = KubeConfig.from_file(path).get(context)
        except _UNREADABLE as error:
            raise InvalidInput(f"kubeconfig {path}: {_line(error)}") from error
        assert config is not None, "there is no default context"
        return cls(config)

    @classmethod
    def in_cluster(cls, *, account: Path = Path(SERVICE_ACCOUNT)) -> Self:
        """As the service account of the pod that this runs in. Raises `InvalidInput` outside of one.

        Where the API is, Kubernetes tells every pod in its environment; `account` is what it mounts there.
        """
        try:
            config = KubeConfig.from_service_account(account).get()
        except _UNREADABLE as error:
            raise InvalidInput(f"this is no pod with a service account: {_line(error)}") from error
        assert config is not None, "a service account is one context"
        return cls(config)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def read(self, keys: Iterable[Key]) -> dict[Key, Manifest]:
        """The resources of these keys that there are. Needs the verb `list` on their kinds."""
        wanted = set(keys)
        places = sorted({(api_version, kind, namespace) for api_version, kind, namespace, _ in wanted})
        return {
            key_of(manifest): manifest
            for api_version, kind, namespace in places
            for manifest in self._listed(api_version, kind, namespace, "")
            if key_of(manifest) in wanted
        }

    def listed(self, kinds: Iterable[tuple[str, str, str]], labels: Mapping[str, str]) -> dict[Key, Manifest]:
        """All resources with these labels, of each API version, kind and namespace ("" for all)."""
        selector = ",".join(f"{name}={value}" for name, value in sorted(labels.items()))
        return {
            key_of(manifest): manifest
            for api_version, kind, namespace in sorted(set(kinds))
            for manifest in self._listed(api_version, kind, namespace, selector)
        }

    def apply(self, manifest: Manifest, *, force: bool = False) -> Manifest:
        """Make the resource so, or create it, and own the fields that the manifest has; returns all of it.

        Validation is strict. Fields that this had owned and that the manifest no longer has are removed;
        those of other managers stay. With a `resourceVersion` in its metadata the server refuses if the
        resource has been changed since. Raises `KubernetesConflict` where another manager owns a field that
        differs, unless `force` takes it over, and `KubernetesRefused` for what the server does not accept.
        Needs the verb `patch`, and `create` for what is not there.
        """
        parameters = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"}
        if force:
            parameters["force"] = "true"
        return self._patch(key_of(manifest), APPLY, manifest, parameters)

    def merge(self, found: Manifest, patch: Mapping[str, Any]) -> Manifest:
        """Change single fields, whoever owns them; None removes one (RFC 7386). Returns the resource.

        `found` is the resource as it was read: if it has been changed since, the server refuses.
        """
        checked = {**patch, "metadata": {"resourceVersion": found["metadata"]["resourceVersion"]}}
        parameters = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"}
        return self._patch(key_of(found), MERGE, checked, parameters)

    def _patch(self, key: Key, media_type: str, body: Manifest, parameters: Mapping[str, str]) -> Manifest:
        api_version, kind, namespace, name = key
        known = self._kind(api_version, kind)
        call = _call("patch", api_version, known, namespace, f"{kind} {name}")
        path = f"{_address(api_version, known, namespace)}/{name}"
        answer = self._asked(
            call,
            "PATCH",
            path,
            parameters,
            headers={"Content-Type": media_type},
            content=msgspec.json.encode(body),
        )
        done: dict[str, Any] = msgspec.json.decode(answer)
        return done

    def _listed(self, api_version: str, kind: str, namespace: str, selector: str) -> Iterable[Manifest]:
        known = self._kind(api_version, kind)
        call = _call("list", api_version, known, namespace, f"{kind}s")
        parameters = {"limit": str(PAGE), **({"labelSelector": selector} if selector else {})}
        while True:
            answer = self._asked(call, "GET", _address(api_version, known, namespace), parameters)
            page = msgspec.json.decode(answer, type=_Page)
            # The items of a list do not say what they are.
            yield from ({"apiVersion": api_version, "kind": kind, **item} for item in page.items)
            if not page.metadata.next:
                return
            parameters["continue"] = page.metadata.next

    def _kind(self, api_version: str, kind: str) -> _Kind:
        if api_version not in self._kinds:
            self._kinds[api_version] = self._discovered(api_version, kind)
        try:
            return self._kinds[api_version][kind]
        except KeyError:
            raise KindMissing(api_version, kind) from None

    def _discovered(self, api_version: str, kind: str) -> dict[str, _Kind]:
        call = Call(verb="get", resource=api_version, subject=f"the kinds of {api_version}")
        answer = self._sent("GET", _root(api_version), {})
        if answer.status_code == httpx.codes.NOT_FOUND:
            raise KindMissing(api_version, kind)
        if answer.is_error:
            raise refusal(call, answer.status_code, answer.content)
        found = msgspec.json.decode(answer.content, type=_Kinds).resources
        # What has a slash is a part of another, such as its status.
        return {one.kind: one for one in found if "/" not in one.name}

    def _asked(self, call: Call, method: str, path: str, parameters: Mapping[str, str], **rest: Any) -> bytes:
        answer = self._sent(method, path, parameters, **rest)
        if answer.is_error:
            raise refusal(call, answer.status_code, answer.content)
        return answer.content

    def _sent(self, method: str, path: str, parameters: Mapping[str, str], **rest: Any) -> httpx.Response:
        try:
            return self._http.request(method, path, params=dict(parameters), **rest)
        except httpx.HTTPError as error:
            raise KubernetesUnavailable(
                f"the Kubernetes API at {self.server} cannot be reached: {_line(error)}"
            ) from error
        except _PLUGIN_FAILED as error:
            raise TrunklineError(f"no credentials for context {self.context}: {_line(error)}") from error


def _usable(config: SingleConfig) -> SingleConfig:
    """The context as lightkube takes it: with a user, and with a version of plugins that it knows.

    It reads only the token that a plugin answers, which is the same in v1 and v1beta1.
    """
    user = config.user or User()
    if user.exec is not None and user.exec.apiVersion == f"{_EXEC}/v1":
        plugin = msgspec.structs.replace(user.exec, apiVersion=f"{_EXEC}/v1beta1")
        user = msgspec.structs.replace(user, exec=plugin)
    return config._replace(user=user)


def _root(api_version: str) -> str:
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"


def _address(api_version: str, kind: _Kind, namespace: str) -> str:
    place = f"/namespaces/{namespace}" if kind.namespaced and namespace else ""
    return f"{_root(api_version)}{place}/{kind.name}"


def _call(verb: str, api_version: str, kind: _Kind, namespace: str, subject: str) -> Call:
    group = api_version.rpartition("/")[0]
    resource = f"{kind.name}.{group}" if group else kind.name
    return Call(verb=verb, resource=resource, subject=subject, namespace=namespace if kind.namespaced else "")


def _line(error: BaseException) -> str:
    """One line: some libraries' texts have several, and a certificate's error is its own first argument."""
    text = error.strerror if isinstance(error, OSError) and not isinstance(error, ssl.SSLError) else None
    return " ".join((text or str(error) or type(error).__name__).split())[:300]
