"""The registry as one hash: the same for the same commands in the same order."""

from sqlalchemy import Connection

from trunkline.services.kit.digest import digest_of
from trunkline.services.ml.tables import ALL_TABLES


def state_digest(tx: Connection) -> str:
    """SHA-256 over all tables."""
    return digest_of(tx, [(table.name, list(table.c)) for table in ALL_TABLES])
