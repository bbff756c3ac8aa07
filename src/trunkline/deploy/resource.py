"""A Kubernetes resource as a value, with the reasons that a reader of its manifest would ask for."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

Body: TypeAlias = Mapping[str, Any]
"""Everything below `metadata`: nested mappings with text keys, sequences, text, numbers, booleans."""

Field: TypeAlias = tuple[str | int, ...]
"""Where something stands in a resource, such as `("spec", "kafka", "config")`."""

NAME_PATTERN: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
"""A DNS-1123 subdomain (RFC 1123), which every resource's name has to be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One manifest. `body` holds `spec`, or `data` and the like; `why` comments on single fields.

    Raises `ValueError` for a name that no Kubernetes API takes.
    """

    api_version: str
    kind: str
    name: str
    body: Body
    namespace: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    why: Mapping[Field, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not NAME_PATTERN.fullmatch(self.name):
            raise ValueError(f"{self.kind} {self.name!r}: not a DNS-1123 subdomain")

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What it is told apart by: API version, kind, namespace, name."""
        return self.api_version, self.kind, self.namespace or "", self.name

    def manifest(self) -> dict[str, Any]:
        """The resource as the Kubernetes API takes it: plain mappings and lists of its own."""
        metadata: dict[str, Any] = {"name": self.name}
        if self.namespace is not None:
            metadata["namespace"] = self.namespace
        if self.labels:
            metadata["labels"] = dict(self.labels)
        if self.annotations:
            metadata["annotations"] = dict(self.annotations)
        body: dict[str, Any] = {name: plain(value) for name, value in self.body.items()}
        return {"apiVersion": self.api_version, "kind": self.kind, "metadata": metadata, **body}


def plain(value: Any) -> Any:
    """A copy made of dicts and lists only."""
    if isinstance(value, Mapping):
        return {str(name): plain(inner) for name, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(inner) for inner in value]
    return value
