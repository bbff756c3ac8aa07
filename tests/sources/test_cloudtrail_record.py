"""A CloudTrail record becomes an API call without losing anything."""

from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import msgspec
import pytest

from trunkline.catalogue.events.access import ApiCalled
from trunkline.codec import Envelope, encode_checked
from trunkline.sources.cloudtrail_record import NESTING_MAX, to_event

RECORD: dict[str, Any] = {
    "eventVersion": "1.08",
    "userIdentity": {
        "type": "IAMUser",
        "principalId": "AIDA1",
        "arn": "arn:aws:iam::123456789012:user/ana",
        "accountId": "123456789012",
        "userName": "ana",
    },
    "eventTime": "2026-01-02T03:04:05Z",
    "eventSource": "s3.amazonaws.com",
    "eventName": "GetBucketAcl",
    "awsRegion": "eu-west-1",
    "sourceIPAddress": "192.0.2.10",
    "userAgent": "Boto3",
    "requestParameters": {"bucketName": "reports"},
    "responseElements": None,
    "requestID": "REQ1",
    "eventID": "11111111-2222-3333-4444-555555555555",
    "readOnly": True,
    "recipientAccountId": "123456789012",
}


def event(tenant: str | None = None, **changes: Any) -> Envelope[ApiCalled]:
    record = {name: value for name, value in (RECORD | changes).items() if value is not ...}
    return to_event(msgspec.json.encode(record), tenant=tenant)


def test_a_record_is_mapped_to_who_did_what_to_which_thing() -> None:
    mapped = event()
    assert mapped.tenantid == "123456789012"
    assert mapped.source == "/sources/cloudtrail"
    assert mapped.time == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert mapped.subject == "reports"
    assert mapped.correlationid == "REQ1"
    data = mapped.data
    assert (data.actor_type, data.actor_id, data.actor_name) == (
        "user",
        "arn:aws:iam::123456789012:user/ana",
        "ana",
    )
    assert (data.service, data.action) == ("s3.amazonaws.com", "s3.amazonaws.com:GetBucketAcl")
    assert (data.resource_type, data.resource_id) == ("AWS::S3::Bucket", "reports")
    assert (data.outcome, data.read_only, data.region) == ("success", True, "eu-west-1")
    assert (data.source_ip, data.user_agent, data.request_id) == ("192.0.2.10", "Boto3", "REQ1")


def test_everything_without_a_field_of_its_own_is_in_detail_as_it_came() -> None:
    detail = event(somethingNew={"deep": [1, 2.5, None]}).data.detail
    mapped = {"awsRegion", "sourceIPAddress", "userAgent", "requestID"}
    assert detail == {name: value for name, value in RECORD.items() if name not in mapped} | {
        "somethingNew": {"deep": [1, 2.5, None]}
    }


def test_the_id_depends_on_account_and_event_alone() -> None:
    assert event().id == event(eventTime="2026-02-02T00:00:00Z", awsRegion="x").id == event(tenant="acme").id
    assert event().id != event(eventID="other").id
    assert event().id != event(recipientAccountId="210987654321").id


@pytest.mark.parametrize(
    ("changes", "tenant"),
    [
        ({}, "123456789012"),
        ({"recipientAccountId": ...}, "123456789012"),
        ({"recipientAccountId": ..., "userIdentity": {"type": "AWSService"}}, "system"),
        ({"recipientAccountId": "not a tenant!"}, "system"),
    ],
)
def test_the_tenant_is_the_account_or_else_system(changes: dict[str, Any], tenant: str) -> None:
    assert event(**changes).tenantid == tenant
    assert event(tenant="acme", **changes).tenantid == "acme"


@pytest.mark.parametrize(
    ("identity", "actor"),
    [
        ({"type": "Root", "arn": "arn:root"}, ("user", "arn:root")),
        ({"type": "AssumedRole", "principalId": "AROA:x"}, ("user", "AROA:x")),
        ({"type": "AWSService", "invokedBy": "ec2.amazonaws.com"}, ("service", "ec2.amazonaws.com")),
        ({"invokedBy": "rds.amazonaws.com", "accountId": "1"}, ("service", "rds.amazonaws.com")),
        ({"type": "Unknown"}, ("anonymous", "unknown")),
        (None, ("anonymous", "unknown")),
    ],
)
def test_the_actor_is_a_person_a_service_or_nobody(identity: Any, actor: tuple[str, str]) -> None:
    data = event(userIdentity=identity).data
    assert (data.actor_type, data.actor_id) == actor


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({"errorCode": "AccessDenied", "errorMessage": "no"}, "denied"),
        ({"errorCode": "Client.UnauthorizedOperation"}, "denied"),
        ({"errorCode": "ThrottlingException"}, "failure"),
        ({"eventName": "ConsoleLogin", "responseElements": {"ConsoleLogin": "Failure"}}, "denied"),
        ({"eventName": "ConsoleLogin", "responseElements": {"ConsoleLogin": "Success"}}, "success"),
    ],
)
def test_the_outcome_follows_the_error_code(changes: dict[str, Any], outcome: str) -> None:
    assert event(**changes).data.outcome == outcome


@pytest.mark.parametrize(
    ("changes", "resource"),
    [
        ({"resources": [{"ARN": "arn:b", "type": "AWS::S3::Object"}]}, ("AWS::S3::Object", "arn:b")),
        ({"resources": [{"accountId": "1"}, {"ARN": "arn:c"}]}, ("resource", "arn:c")),
        ({"resources": "odd", "requestParameters": {"roleName": "r"}}, ("AWS::IAM::Role", "r")),
        ({"requestParameters": {"bucketName": 7}}, ("api", "s3.amazonaws.com")),
        ({"requestParameters": None}, ("api", "s3.amazonaws.com")),
    ],
)
def test_the_resource_is_found_where_the_record_names_one(
    changes: dict[str, Any], resource: tuple[str, str]
) -> None:
    data = event(**changes).data
    assert (data.resource_type, data.resource_id) == resource


def test_a_value_too_long_for_its_field_stays_whole_in_detail() -> None:
    data = event(userAgent="x" * 5_000).data
    assert data.user_agent == "x" * 2_048
    assert data.detail["userAgent"] == "x" * 5_000


def test_what_does_not_fit_a_message_is_cut_largest_first_and_leaves_its_digest() -> None:
    huge, small = {"blob": "x" * 2_000_000}, {"blob": "y" * 1_000}
    mapped = event(requestParameters=huge, responseElements=small)
    encoded = msgspec.json.encode(huge)
    assert mapped.data.detail["requestParameters"] == {
        "cut_bytes": len(encoded),
        "cut_sha256": sha256(encoded).hexdigest(),
    }
    assert mapped.data.detail["responseElements"] == small
    assert len(encode_checked(mapped).value) < 1_000_000


def nested(levels: int) -> bytes:
    """A record in which objects and arrays lie this deep, itself included."""
    inner = b'{"a":' * (levels - 1) + b"1" + b"}" * (levels - 1)
    return msgspec.json.encode(RECORD)[:-1] + b',"requestParameters":' + inner + b"}"


def test_a_record_is_taken_up_to_a_depth_that_every_reader_can_go() -> None:
    many = [{"a": [number]} for number in range(200)]
    assert to_event(nested(NESTING_MAX)).data.detail["requestParameters"]
    assert to_event(msgspec.json.encode(RECORD | {"additionalEventData": many})).data.detail
    for levels in (NESTING_MAX + 1, 950, 992, 994, 1_000, 5_000, 100_000):
        with pytest.raises(ValueError, match=r"not a CloudTrail record: .*(nested deeper|recursion depth)"):
            to_event(nested(levels))


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (msgspec.json.encode(RECORD)[:-1] + b',"userAgent":"\xff"}', "not a CloudTrail record: 'utf-8'"),
        (b"7", "Expected `object`"),
        (b"{}", "lacks eventID, eventTime, eventSource, eventName"),
        (msgspec.json.encode(RECORD | {"eventTime": "yesterday"}), "eventTime"),
        (msgspec.json.encode(RECORD | {"eventID": ""}), "lacks eventID"),
        (msgspec.json.encode(RECORD | {"eventID": None}), "lacks eventID"),
        (msgspec.json.encode(RECORD | {"userIdentity": "ana"}), "userIdentity"),
    ],
)
def test_a_bad_record_is_refused_with_its_fault(raw: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        to_event(raw)
