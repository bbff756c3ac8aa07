"""One CloudTrail record as an API call of the audit trail.

Nothing of a record is lost: what has a field of its own in the event is there, everything else is in
`detail` as it came. Only what would not fit into a message is cut, largest first, and leaves its size and
SHA-256 behind.
"""

from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Annotated, Any, Final

import msgspec

from trunkline.catalogue.events import event_type_of
from trunkline.catalogue.events.access import ApiCalled
from trunkline.catalogue.events.audit_view import UNKNOWN_ACTOR, ActorType
from trunkline.catalogue.events.audit_view import Outcome as AccessOutcome
from trunkline.catalogue.names import SYSTEM_TENANT, TENANT_PATTERN, TenantId
from trunkline.codec import CodecError, Envelope, derive_id, encode_checked

SOURCE: Final = "/sources/cloudtrail"

DETAIL_BYTES_MAX: Final = 768 * 1024
"""What `detail` may take of a message of 1 MB."""

NESTING_MAX: Final = 100
"""Far above any real call's; how deep a reader can go depends on its stack, and this is well below it."""

_NAME_MAX: Final = 256
_LONG_NAME_MAX: Final = 2_048

_DENIED: Final = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "Client.UnauthorizedOperation",
        "UnauthorizedOperation",
        "UnauthorizedAccess",
        "NotAuthorized",
    }
)
_PEOPLE: Final = frozenset(
    {
        "AssumedRole",
        "AWSAccount",
        "FederatedUser",
        "IAMUser",
        "IdentityCenterUser",
        "Role",
        "Root",
        "SAMLUser",
        "WebIdentityUser",
    }
)
_NAMED_BY: Final[Mapping[str, str]] = {
    "bucketName": "AWS::S3::Bucket",
    "secretId": "AWS::SecretsManager::Secret",
    "keyId": "AWS::KMS::Key",
    "roleName": "AWS::IAM::Role",
    "groupName": "AWS::IAM::Group",
    "userName": "AWS::IAM::User",
    "policyArn": "AWS::IAM::Policy",
    "instanceProfileName": "AWS::IAM::InstanceProfile",
    "instanceId": "AWS::EC2::Instance",
    "vpcId": "AWS::EC2::VPC",
    "snapshotId": "AWS::EC2::Snapshot",
    "trailName": "AWS::CloudTrail::Trail",
    "dBInstanceIdentifier": "AWS::RDS::DBInstance",
    "functionName": "AWS::Lambda::Function",
}
"""Request parameters that name what a call acts on, for records without `resources`; the first counts."""


class _Record(msgspec.Struct, rename="camel"):
    """What is read of a record; all optional, so that a bad record is named by what it lacks."""

    event_id: str | None = msgspec.field(name="eventID", default=None)
    event_time: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    event_source: str | None = None
    event_name: str | None = None
    aws_region: str | None = None
    source_ip: str | None = msgspec.field(name="sourceIPAddress", default=None)
    user_agent: str | None = None
    request_id: str | None = msgspec.field(name="requestID", default=None)
    error_code: str | None = None
    error_message: str | None = None
    read_only: bool | None = None
    recipient_account_id: str | None = None
    user_identity: dict[str, Any] | None = None
    request_parameters: Any = None
    response_elements: Any = None
    resources: Any = None


_record: Final = msgspec.json.Decoder(_Record)
_members: Final = msgspec.json.Decoder(dict[str, Any])


def to_event(raw: bytes, *, tenant: str | None = None) -> Envelope[ApiCalled]:
    """One record as an event. Raises `ValueError` with what is wrong with it."""
    try:
        record, members = _record.decode(raw), _members.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"not a CloudTrail record: {error}") from error
    if raw.count(b"{") + raw.count(b"[") > NESTING_MAX and _is_too_deep(members):
        raise ValueError(f"not a CloudTrail record: it is nested deeper than {NESTING_MAX} levels")
    if not record.event_id or record.event_time is None or not record.event_source or not record.event_name:
        required = ("eventID", "eventTime", "eventSource", "eventName")
        lacking = [name for name in required if not members.get(name)]
        raise ValueError(f"not a CloudTrail record: it lacks {', '.join(lacking)}")
    identity = record.user_identity or {}
    account = record.recipient_account_id or _text(identity.get("accountId")) or ""
    resource_type, resource_id = _resource(record)
    envelope = Envelope(
        id=derive_id("cloudtrail", account, record.event_id),
        source=SOURCE,
        type=event_type_of(ApiCalled),
        tenantid=TenantId(tenant or (account if TENANT_PATTERN.fullmatch(account) else SYSTEM_TENANT)),
        time=record.event_time,
        data=_data(record, identity, members, resource_type=resource_type, resource_id=resource_id),
        subject=_attribute(resource_id),
        correlationid=_attribute(record.request_id),
    )
    try:
        encode_checked(envelope)
    except CodecError as error:
        raise ValueError(str(error)) from error
    return envelope


def _data(
    record: _Record,
    identity: Mapping[str, Any],
    members: dict[str, Any],
    *,
    resource_type: str | None,
    resource_id: str | None,
) -> ApiCalled:
    """The event's data. A value too long for its field is cut there and stays whole in `detail`."""
    assert record.event_source is not None
    actor_type, actor_id = _actor(identity)
    fields: dict[str, tuple[str, str | None, int]] = {
        "region": ("awsRegion", record.aws_region, _NAME_MAX),
        "source_ip": ("sourceIPAddress", record.source_ip, _NAME_MAX),
        "user_agent": ("userAgent", record.user_agent, 2_048),
        "request_id": ("requestID", record.request_id, _NAME_MAX),
        "error_code": ("errorCode", record.error_code, _NAME_MAX),
        "error_message": ("errorMessage", record.error_message, 2_000),
    }
    taken: dict[str, str] = {}
    for field, (member, value, chars_max) in fields.items():
        if value:
            taken[field] = value[:chars_max]
            if len(value) <= chars_max:
                del members[member]
    return ApiCalled(
        actor_type=actor_type,
        actor_id=actor_id[:_LONG_NAME_MAX],
        actor_name=_actor_name(identity),
        service=record.event_source[:_NAME_MAX],
        action=f"{record.event_source}:{record.event_name}"[:512],
        outcome=_outcome(record),
        read_only=record.read_only is True,
        resource_type=resource_type,
        resource_id=resource_id,
        detail=_bounded(members),
        **taken,
    )


def _actor(identity: Mapping[str, Any]) -> tuple[ActorType, str]:
    kind = identity.get("type")
    names = (identity.get(name) for name in ("arn", "principalId", "userName", "invokedBy", "accountId"))
    actor_id = next((name for name in names if isinstance(name, str) and name), UNKNOWN_ACTOR)
    if kind in _PEOPLE:
        return "user", actor_id
    if kind == "AWSService" or identity.get("invokedBy"):
        return "service", actor_id
    return "anonymous", actor_id


def _actor_name(identity: Mapping[str, Any]) -> str | None:
    name = identity.get("userName")
    if not name and isinstance(context := identity.get("sessionContext"), dict):
        issuer = context.get("sessionIssuer")
        name = issuer.get("userName") if isinstance(issuer, dict) else None
    return name[:_NAME_MAX] if isinstance(name, str) and name else None


def _resource(record: _Record) -> tuple[str | None, str | None]:
    """Kind and name of what the call acted on: as the record says, or by its request parameters."""
    for resource in record.resources if isinstance(record.resources, list) else ():
        if isinstance(resource, dict) and (name := _text(resource.get("ARN"))):
            return (_text(resource.get("type")) or "resource")[:_NAME_MAX], name[:_LONG_NAME_MAX]
    if isinstance(record.request_parameters, dict):
        for parameter, kind in _NAMED_BY.items():
            if name := _text(record.request_parameters.get(parameter)):
                return kind, name[:_LONG_NAME_MAX]
    return "api", (record.event_source or "")[:_NAME_MAX]


def _outcome(record: _Record) -> AccessOutcome:
    if record.error_code:
        return "denied" if record.error_code in _DENIED else "failure"
    elements = record.response_elements
    # A failed sign-in carries no error code, only this.
    if isinstance(elements, dict) and elements.get("ConsoleLogin") == "Failure":
        return "denied"
    return "success"


def _bounded(members: dict[str, Any]) -> dict[str, Any]:
    """The members, the largest of them replaced by size and digest until the rest fits."""
    encoded = {name: msgspec.json.encode(value) for name, value in members.items()}
    size = sum(len(value) + len(name) for name, value in encoded.items())
    for name in sorted(encoded, key=lambda member: len(encoded[member]), reverse=True):
        if size <= DETAIL_BYTES_MAX:
            break
        size -= len(encoded[name])
        members[name] = {"cut_bytes": len(encoded[name]), "cut_sha256": sha256(encoded[name]).hexdigest()}
    return members


def _is_too_deep(members: object) -> bool:
    level = [members]
    for _ in range(NESTING_MAX):
        level = [
            inner
            for outer in level
            if isinstance(outer, (dict, list))
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return any(isinstance(inner, (dict, list)) for inner in level)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _attribute(value: str | None) -> str | None:
    """The value if it may be a context attribute; the event's data has it in any case."""
    return value if value and len(value) <= _LONG_NAME_MAX and value.isprintable() else None
