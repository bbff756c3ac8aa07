"""The envelope that a program builds."""

import uuid
from datetime import UTC, datetime

from trunkline.catalogue.events.tenant import TenantDeleted
from trunkline.catalogue.names import TenantId
from trunkline.codec import NO_EXTENSIONS, new_envelope

TIME = datetime(2026, 11, 23, 7, tzinfo=UTC)
DELETED = TenantDeleted(name="acme", actor_id="reaper")


def test_an_envelope_takes_its_type_from_its_event_and_a_fresh_id() -> None:
    first = new_envelope(DELETED, tenant=TenantId("acme"), source="//tenant-service/1", time=TIME)
    second = new_envelope(DELETED, tenant=TenantId("acme"), source="//tenant-service/1", time=TIME)
    assert first.type == "tenant.deleted.v1"
    assert uuid.UUID(first.id).version == 7
    assert first.id < second.id


def test_a_given_id_is_kept_and_the_rest_is_absent_until_given() -> None:
    envelope = new_envelope(DELETED, tenant=TenantId("acme"), source="//x/1", time=TIME, id="given")
    assert envelope.id == "given"
    assert envelope.subject is envelope.correlationid is envelope.causationid is envelope.traceparent is None
    assert envelope.extensions is NO_EXTENSIONS
