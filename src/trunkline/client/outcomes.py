"""What a publisher says of an event that was not delivered, or of which nobody knows."""

from trunkline.client.delivery import Delivery, Outcome
from trunkline.client.errors import DeliveryRejected, DeliveryUnknown
from trunkline.client.kafka import Report


def rejected(delivery: Delivery, code: str, why: str) -> DeliveryRejected:
    """It is certainly not in the log; `code` is Kafka's or the library's name for the reason."""
    return DeliveryRejected(
        code, f"event {delivery.event_id} to {delivery.lane[0]}: {why} ({code}); it is not in the log"
    )


def unknown(delivery: Delivery, why: str) -> DeliveryUnknown:
    """Nobody knows whether it is in the log."""
    return DeliveryUnknown(
        f"event {delivery.event_id} to {delivery.lane[0]}: {why}; it may be in the log, and may be published "
        "again with the same id"
    )


def failure(report: Report[Delivery]) -> Outcome:
    """What the report of an error means."""
    assert report.code is not None
    if report.lost:
        return rejected(report.token, report.code, report.message)
    return unknown(report.token, f"{report.message} ({report.code})")
