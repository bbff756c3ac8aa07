"""Notification: history, incidents, and the identities of what is told and to whom."""

from typing import Final

from trunkline.services.notification.state import state_digest
from trunkline.testing.suite.case import Case

CASE: Final = Case(service="notification-service", digest=state_digest)
