"""Config: the entries and how they came about."""

from typing import Final

from trunkline.services.config.state import state_digest
from trunkline.testing.suite.case import Case

CASE: Final = Case(
    service="config-service",
    digest=state_digest,
    keeps={"outbox_event": "says that the tenant's settings are unset, and goes when it is published"},
)
