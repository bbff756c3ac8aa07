"""What usage is booked under: the meters, the terms, and where what has to be told goes."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from trunkline.client.outbox.add import Outbox
from trunkline.services.billing.meters import Meters, meters_of
from trunkline.services.billing.terms import Terms


@dataclass(frozen=True, slots=True)
class Books:
    """The meters of one moment, the terms, and the outbox."""

    meters: Meters
    terms: Terms
    outbox: Outbox


_STORED: Final = "SELECT code, version, effective_us, definition FROM meter ORDER BY code, version"


def read_meters(tx: Connection) -> Meters:
    """All meters, as stored in this store. Read under the locks of the tenants whose usage is measured."""
    return meters_of(tuple((row[0], row[1], row[2], row[3]) for row in tx.exec_driver_sql(_STORED)))
