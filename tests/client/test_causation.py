"""What an event hands on."""

from datetime import UTC, datetime

from trunkline.catalogue.events import Event
from trunkline.catalogue.names import TenantId
from trunkline.client.causation import caused_by
from trunkline.codec import new_envelope


def test_a_consequence_names_its_cause_and_keeps_correlation_and_origin(event: Event) -> None:
    cause = new_envelope(
        event,
        tenant=TenantId("acme"),
        source="/query-engine",
        time=datetime.now(UTC),
        correlationid="request-81",
        traceparent="00-11111111111111111111111111111111-2222222222222222-01",
    )
    consequence = new_envelope(
        event, tenant=TenantId("acme"), source="/billing", time=datetime.now(UTC), **caused_by(cause)
    )
    assert consequence.causationid == cause.id
    assert consequence.correlationid == "request-81"
    assert consequence.traceparent == cause.traceparent
