"""What a Kubernetes API refuses, in words that say what to do.

    KubernetesFailed          exit code 1: the API said no, and why
    ├── KubernetesForbidden   a right is missing: which verb on what
    ├── KubernetesConflict    somebody else owns fields: who owns which
    ├── KubernetesChanged     the resource has been changed since it was read
    ├── KubernetesRefused     the manifest is wrong: which field
    └── KindMissing           its CustomResourceDefinition is not installed
    KubernetesUnavailable     exit code 4: nobody answers, or not now

The API's own answer is a `Status`:
https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import msgspec

from trunkline.errors import TrunklineError, Unavailable

INSTALL: Final = {
    "kafka.strimzi.io": "Strimzi 1.2",
    "monitoring.coreos.com": "the Prometheus operator",
    "keda.sh": "KEDA 2.17 or newer",
}
"""What brings the kinds of an API group that we render."""

_PASSING: Final = frozenset(
    {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
_DENIED: Final = re.compile(r"cannot (\w+) resource")
"""The verb that was missing: an apply to a resource that is not there needs `create` besides `patch`."""

_MANAGER: Final = re.compile(r'conflict with "([^"]+)"')

UNTYPED: Final = "failed to create typed patch object"
"""How a server-side apply answers a field that the schema does not know: with status 500 instead of 400."""

CAUSES_SHOWN_MAX: Final = 3


class KubernetesFailed(TrunklineError):  # noqa: N818 - reads as what it is
    """The Kubernetes API refused."""


class KubernetesForbidden(KubernetesFailed):
    """The user lacks `verb` on `resource` (`PLURAL.GROUP`), in `namespace` if it is in one."""

    def __init__(self, call: "Call", message: str) -> None:
        denied = _DENIED.search(message)
        self.verb = call.verb if denied is None else denied[1]
        super().__init__(
            f"the Kubernetes API refuses: {message}; "
            f'grant the verb "{self.verb}" on {call.resource}{call.where}'
        )
        self.resource = call.resource
        self.namespace = call.namespace


class KubernetesConflict(KubernetesFailed):
    """Others own fields that differ: `owners` are their field managers, by the field's path."""

    def __init__(self, call: "Call", owners: Mapping[str, str]) -> None:
        owned = ", ".join(f"{field.lstrip('.')} is owned by {owner}" for field, owner in owners.items())
        super().__init__(f"{call.subject}: {owned}; take the fields out of what that applies")
        self.owners = {field.lstrip("."): owner for field, owner in owners.items()}


class KubernetesChanged(KubernetesFailed):
    """The resource is not any more as it was read: whoever writes it has to look again first."""

    def __init__(self, call: "Call") -> None:
        super().__init__(f"{call.subject}: it has been changed meanwhile; look again")


class KubernetesRefused(KubernetesFailed):
    """The API does not take the manifest. `fields` are the paths that it names, if it names any."""

    def __init__(self, call: "Call", message: str, fields: tuple[str, ...] = ()) -> None:
        super().__init__(f"{call.subject}: the Kubernetes API refuses it: {message}")
        self.fields = fields


class KindMissing(KubernetesFailed):
    """The API does not know the kind, so what brings its CustomResourceDefinition is not installed."""

    def __init__(self, api_version: str, kind: str) -> None:
        group = api_version.partition("/")[0]
        what = INSTALL.get(group, f"what brings the API {api_version}")
        super().__init__(f"the Kubernetes API does not know {kind} ({api_version}); install {what} first")
        self.api_version = api_version
        self.kind = kind


class KubernetesUnavailable(Unavailable):
    """The Kubernetes API cannot be reached, or asks to come again later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What was asked for: a verb as RBAC names it, on `resource` (`PLURAL.GROUP`), for one `subject`."""

    verb: str
    resource: str
    subject: str
    namespace: str = ""

    @property
    def where(self) -> str:
        """For a sentence: the namespace, if there is one."""
        return f" in namespace {self.namespace}" if self.namespace else ""


class _Cause(msgspec.Struct, frozen=True):
    message: str = ""
    field: str = ""


class _Details(msgspec.Struct, frozen=True):
    name: str = ""
    kind: str = ""
    causes: tuple[_Cause, ...] = ()


class _Status(msgspec.Struct, frozen=True):
    message: str = ""
    details: _Details = _Details()


def refusal(call: Call, code: int, body: bytes) -> TrunklineError:  # noqa: PLR0911 - a table
    """The error that an answer with this HTTP status means."""
    status = _status(body)
    message = status.message.strip() or body.decode(errors="replace").strip()[:200] or f"status {code}"
    causes = status.details.causes
    match code:
        case HTTPStatus.UNAUTHORIZED:
            return KubernetesFailed(
                "the Kubernetes API does not accept the credentials; log in again, or choose another context"
            )
        case HTTPStatus.FORBIDDEN:
            return KubernetesForbidden(call, message)
        case HTTPStatus.CONFLICT if owners := _owners(causes):
            return KubernetesConflict(call, owners)
        case HTTPStatus.CONFLICT:
            return KubernetesChanged(call)
        case HTTPStatus.NOT_FOUND if status.details.kind == "namespaces":
            return KubernetesFailed(
                f"{call.subject}: there is no namespace {status.details.name}; create it first"
            )
        case HTTPStatus.BAD_REQUEST | HTTPStatus.UNPROCESSABLE_ENTITY:
            return KubernetesRefused(call, _told(message, causes), tuple(cause.field for cause in causes))
        case HTTPStatus.INTERNAL_SERVER_ERROR if message.startswith(UNTYPED):
            field, _, why = message.partition("): ")[2].partition(": ")
            return KubernetesRefused(call, f"{field.lstrip('.')}: {why}", (field.lstrip("."),))
        case _ if code in _PASSING:
            return KubernetesUnavailable(
                f"the Kubernetes API answers with {code} ({message}); try again later"
            )
        case _:
            return KubernetesFailed(f"{call.subject}: the Kubernetes API answers with {code}: {message}")


def _status(body: bytes) -> _Status:
    """Of a body that is none, as a proxy's: an empty one."""
    try:
        return msgspec.convert(_without_null(msgspec.json.decode(body)), _Status)
    except (msgspec.DecodeError, msgspec.ValidationError, AttributeError):
        return _Status()


def _without_null(status: Any) -> Any:
    return {name: value for name, value in status.items() if value is not None}


def _owners(causes: tuple[_Cause, ...]) -> dict[str, str]:
    found = [(cause.field, _MANAGER.search(cause.message)) for cause in causes]
    return {field: match[1] for field, match in found if match is not None}


def _told(message: str, causes: tuple[_Cause, ...]) -> str:
    """The causes alone, each with its field: the message repeats the resource's name."""
    told = [f"{cause.field}: {cause.message}" if cause.field else cause.message for cause in causes]
    more = len(told) - CAUSES_SHOWN_MAX
    return (
        "; ".join(told[:CAUSES_SHOWN_MAX]) + (f"; and {more} more" if more > 0 else "") if told else message
    )
