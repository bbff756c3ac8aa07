"""What the API takes and gives beside what `queries` and `orders` have."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from trunkline.catalogue.events.policy import Kind, Mode
from trunkline.services.governance.orders import DRAFTS_MAX, Draft

Reason = Annotated[str | None, Field(max_length=2_000)]
Name = Annotated[str, Field(min_length=1, max_length=512)]


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyBody:
    """A policy to be published."""

    policy_id: Annotated[str, Field(max_length=128)]
    kind: Kind
    scope: Name
    body: Annotated[str, Field(max_length=16_384)]
    mode: Mode = "enforce"
    title: Reason = None

    def draft(self) -> Draft:
        """As `orders` takes it."""
        return Draft(
            policy_id=self.policy_id,
            kind=self.kind,
            scope=self.scope,
            body=self.body,
            mode=self.mode,
            title=self.title,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishBody:
    """Policies to be published in one revision."""

    policies: Annotated[list[PolicyBody], Field(min_length=1, max_length=DRAFTS_MAX)]
    reason: Reason = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackBody:
    """The revision whose policies shall hold again."""

    revision: Annotated[int, Field(ge=1)]
    reason: Reason = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldBody:
    """What shall hold of an asset until then, against its checks."""

    asset: Name
    wanted: Literal["released", "monitor", "warn", "enforce"]
    until: datetime
    reason: Annotated[str, Field(min_length=1, max_length=2_000)]


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleView:
    """A bundle, whole. Its digest is SHA-256 of the policies as canonical JSON, sorted by id."""

    tenant: str
    revision: int
    digest: str
    policies: list[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldBundle:
    """The bundle of a tenant that an enforcer has; `problem` tells why it is not the newest."""

    tenant: Annotated[str, Field(max_length=64)]
    revision: Annotated[int, Field(ge=0, le=2**53)]
    digest: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    problem: Reason = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EnforcerBody:
    """What an enforcer has, of all tenants that it serves."""

    instance: Annotated[str, Field(min_length=1, max_length=256)]
    service: Annotated[str, Field(min_length=1, max_length=128)]
    bundles: Annotated[list[HeldBundle], Field(max_length=10_000)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """How many bundles of the report were noted."""

    noted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesView:
    """The rules of a tenant, and the values of the configuration that are not used, with why."""

    tenant: str
    triggers: dict[str, str]
    release_passes: int
    exempt_roles: list[str]
    refused: list[str]
