"""Catalog: everything but the order of arrival."""

from typing import Final

from trunkline.services.catalog.state import state_digest
from trunkline.testing.suite.case import Case

CASE: Final = Case(service="catalog-service", digest=state_digest)
