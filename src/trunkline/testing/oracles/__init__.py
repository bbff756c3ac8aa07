"""What services must have come to, computed again and otherwise: SQL in DuckDB over the raw log.

`events` has the log as a table; every other module has the claims about one service. Nothing here calls the
code that it judges: it reads the service's own tables and compares them with the answer of a query.
"""

import importlib
from collections.abc import Callable, Iterable
from contextlib import closing
from types import MappingProxyType
from typing import Final

from trunkline.client.store import open_store
from trunkline.codec.record import Record
from trunkline.testing.checker import Claim
from trunkline.testing.oracles.events import event_log

ORACLES: Final = MappingProxyType(
    {
        "ai-service": "ai",
        "billing-service": "billing",
        "catalog-service": "catalog",
        "config-service": "config",
        "data-quality-service": "quality",
        "governance-service": "governance",
        "iam-service": "iam",
        "ml-service": "ml",
        "notification-service": "notification",
        "pipeline-service": "pipeline",
        "query-engine": "query",
        "tenant-service": "tenant",
    }
)
"""Service -> the module here whose `claims(log, store)` judge it."""


def service_claims(records: Iterable[Record], store_url: Callable[[str], str]) -> list[Claim]:
    """The claims about every service that has an oracle, from the whole log and the services' stores."""
    found: list[Claim] = []
    with event_log(records) as log:
        for service, name in ORACLES.items():
            oracle = importlib.import_module(f"{__name__}.{name}")
            with closing(open_store(store_url(service))) as store:
                found += oracle.claims(log, store)
    return found
