"""Authentication and access: what IAM Service publishes."""

from typing import Literal, TypeAlias

from msgspec import field

from trunkline.catalogue.events.audit_view import ActorType, AuditRule
from trunkline.catalogue.events.audit_view import Outcome as AccessOutcome
from trunkline.catalogue.events.base import Event, event
from trunkline.catalogue.events.fields import (
    Count,
    Identifier,
    Instant,
    IpAddress,
    JsonObject,
    LongName,
    Reason,
    Sha256,
    Title,
    Urn,
    UserAgent,
    Word,
)

TOPIC = "security.audit.events"

LoginMethod: TypeAlias = Literal["password", "sso", "api_key", "mfa", "token_refresh"]

_USER = AuditRule(resource="account", resource_id="user_id", actor_id="user_id")
_LOGIN_FAILED = AuditRule(resource="account", resource_id="user_id", actor_id="user_id", outcome="failure")
_PERMISSION = AuditRule(resource="permission", resource_id="grantee_id", actor_id="actor_id")
_ROLE = AuditRule(resource="role", resource_id="role", actor_id="actor_id")
_API_KEY = AuditRule(resource="api_key", resource_id="key_id", actor_id="actor_id")
_ERASURE = AuditRule(resource="subject", resource_id="subject_id", actor_id="actor_id")


@event(
    "auth.login_succeeded.v1",
    topic=TOPIC,
    audit=_USER,
    example={"user_id": "u-17", "method": "sso", "source_ip": "192.0.2.10", "session_id": "s-9f2"},
)
class LoginSucceeded(Event, frozen=True, kw_only=True):
    """A user or a key was let in."""

    user_id: Identifier
    method: LoginMethod
    source_ip: IpAddress | None = None
    user_agent: UserAgent | None = None
    session_id: Identifier | None = None


@event(
    "auth.login_failed.v1",
    topic=TOPIC,
    audit=_LOGIN_FAILED,
    example={"user_id": "u-17", "method": "password", "reason": "bad_credentials", "attempts": 3},
)
class LoginFailed(Event, frozen=True, kw_only=True):
    """Somebody was not let in. `attempts` counts failures in a row, this one included."""

    user_id: Identifier
    method: LoginMethod
    reason: Word
    attempts: Count = 1
    source_ip: IpAddress | None = None
    user_agent: UserAgent | None = None


@event(
    "access.permission_granted.v1",
    topic=TOPIC,
    audit=_PERMISSION,
    example={
        "actor_id": "u-1",
        "grantee_id": "u-17",
        "permission": "query.execute",
        "resource": "urn:schema:sales",
        "expires_at": "2026-12-31T00:00:00Z",
    },
)
class PermissionGranted(Event, frozen=True, kw_only=True):
    """A permission on a resource was given, for good or until a moment."""

    actor_id: Identifier
    grantee_id: Identifier
    permission: Identifier
    resource: Urn
    expires_at: Instant | None = None


@event(
    "access.permission_revoked.v1",
    topic=TOPIC,
    audit=_PERMISSION,
    example={
        "actor_id": "u-1",
        "grantee_id": "u-17",
        "permission": "query.execute",
        "resource": "urn:schema:sales",
        "reason": "left the team",
    },
)
class PermissionRevoked(Event, frozen=True, kw_only=True):
    """A permission on a resource was taken away."""

    actor_id: Identifier
    grantee_id: Identifier
    permission: Identifier
    resource: Urn
    reason: Reason | None = None


@event(
    "access.role_assigned.v1",
    topic=TOPIC,
    audit=_ROLE,
    example={"actor_id": "u-1", "user_id": "u-17", "role": "analyst", "scope": "urn:workspace:emea"},
)
class RoleAssigned(Event, frozen=True, kw_only=True):
    """A user was given a role, in the whole tenant unless a scope narrows it."""

    actor_id: Identifier
    user_id: Identifier
    role: Identifier
    scope: Urn | None = None


@event(
    "access.role_unassigned.v1",
    topic=TOPIC,
    audit=_ROLE,
    example={"actor_id": "u-1", "user_id": "u-17", "role": "analyst", "reason": "left the team"},
)
class RoleUnassigned(Event, frozen=True, kw_only=True):
    """A role that a user had, in the whole tenant or in the scope, was taken away."""

    actor_id: Identifier
    user_id: Identifier
    role: Identifier
    scope: Urn | None = None
    reason: Reason | None = None


@event(
    "access.api_key_created.v1",
    topic=TOPIC,
    audit=_API_KEY,
    example={"actor_id": "u-1", "key_id": "k-4", "last_four": "x7Qa", "name": "nightly export"},
)
class ApiKeyCreated(Event, frozen=True, kw_only=True):
    """A key was issued. The key itself is never in an event; `last_four` is what people recognise it by."""

    actor_id: Identifier
    key_id: Identifier
    last_four: Identifier
    name: Title | None = None
    expires_at: Instant | None = None


@event(
    "access.api_key_revoked.v1",
    topic=TOPIC,
    audit=_API_KEY,
    example={"actor_id": "u-1", "key_id": "k-4", "reason": "rotated"},
)
class ApiKeyRevoked(Event, frozen=True, kw_only=True):
    """A key no longer works."""

    actor_id: Identifier
    key_id: Identifier
    reason: Reason | None = None


@event(
    "access.data_accessed.v1",
    topic=TOPIC,
    audit=AuditRule(
        resource="asset",
        resource_id="resource",
        actor_id="actor_id",
        actor_type_field="actor_type",
        outcome_field="outcome",
    ),
    example={
        "actor_type": "user",
        "actor_id": "u-17",
        "operation": "read",
        "resource": "urn:table:sales.customer",
        "outcome": "success",
        "rows": 1500,
        "classification": "confidential",
        "purpose": "churn report",
    },
)
class DataAccessed(Event, frozen=True, kw_only=True):
    """Somebody read, wrote, exported or deleted data that is worth a record."""

    actor_type: ActorType
    actor_id: Identifier
    operation: Literal["read", "write", "export", "delete"]
    resource: Urn
    outcome: AccessOutcome
    rows: Count | None = None
    classification: Word | None = None
    purpose: Reason | None = None
    source_ip: IpAddress | None = None


@event(
    "access.api_called.v1",
    topic=TOPIC,
    audit=AuditRule(
        resource="api",
        resource_id="resource_id",
        actor_id="actor_id",
        actor_type_field="actor_type",
        action_field="action",
        resource_field="resource_type",
        outcome_field="outcome",
    ),
    example={
        "actor_type": "user",
        "actor_id": "arn:aws:iam::123456789012:user/ana",
        "actor_name": "ana",
        "service": "s3.amazonaws.com",
        "action": "s3.amazonaws.com:GetBucketAcl",
        "resource_type": "AWS::S3::Bucket",
        "resource_id": "arn:aws:s3:::quarterly-reports",
        "outcome": "denied",
        "read_only": True,
        "region": "eu-west-1",
        "source_ip": "192.0.2.10",
        "user_agent": "Boto3/1.40",
        "request_id": "GXK0PSB1Y7JKAY2B",
        "error_code": "AccessDenied",
        "error_message": "Access Denied",
        "detail": {"requestParameters": {"bucketName": "quarterly-reports"}},
    },
)
class ApiCalled(Event, frozen=True, kw_only=True):
    """A call of a cloud provider's or the platform's API, as the provider's own log reports it.

    `action` is `service:operation`. `resource_id` is what the call acted on and `resource_type` its kind;
    both are absent where the log names none. `outcome` is `denied` for a refusal of access, `failure` for any
    other error. `detail` is the rest of the log's record, as it was.
    """

    actor_type: ActorType
    actor_id: LongName
    service: Identifier
    action: Urn
    outcome: AccessOutcome
    read_only: bool
    actor_name: Identifier | None = None
    resource_type: Identifier | None = None
    resource_id: LongName | None = None
    region: Identifier | None = None
    source_ip: IpAddress | None = None
    user_agent: UserAgent | None = None
    request_id: Identifier | None = None
    error_code: Identifier | None = None
    error_message: Reason | None = None
    detail: JsonObject = field(default_factory=dict)


@event(
    "access.erasure_requested.v1",
    topic=TOPIC,
    audit=_ERASURE,
    example={
        "actor_id": "u-1",
        "subject_id": "c-881",
        "request_id": "er-12",
        "due_at": "2026-12-01T00:00:00Z",
    },
)
class ErasureRequested(Event, frozen=True, kw_only=True):
    """A person asked for their data to be erased."""

    actor_id: Identifier
    subject_id: Identifier
    request_id: Identifier
    due_at: Instant | None = None


@event(
    "access.erasure_completed.v1",
    topic=TOPIC,
    audit=_ERASURE,
    example={
        "actor_id": "erasure-job",
        "subject_id": "c-881",
        "request_id": "er-12",
        "services": 9,
        "records_erased": 412,
    },
)
class ErasureCompleted(Event, frozen=True, kw_only=True):
    """A person's data is gone from every service that answered; or a whole tenant's is from one service.

    For a tenant `subject_id` is the tenant, `request_id` the deletion, and `service` the one that answers:
    with how many `keys_destroyed`, and the `digest` of its receipt.
    """

    actor_id: Identifier
    subject_id: Identifier
    request_id: Identifier
    services: Count
    records_erased: Count
    service: Identifier | None = None
    keys_destroyed: Count | None = None
    digest: Sha256 | None = None
