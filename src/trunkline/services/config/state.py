"""The service's state as one digest: the same for the same events, however they came."""

from typing import Final

from sqlalchemy import Connection

from trunkline.services.config.tables import CONFIG_CHANGE, CONFIG_ENTRY
from trunkline.services.kit.digest import digest_of

_E: Final = CONFIG_ENTRY.c
_C: Final = CONFIG_CHANGE.c


def state_digest(tx: Connection) -> str:
    """SHA-256 of entries and history, as 64 hexadecimal digits.

    Without what another store cannot know: whether a change was made here, and its place in the reading.
    """
    entries = (_E.kind, _E.level, _E.scope, _E.key, _E.version, _E.value, _E.digest)
    changes = (
        *(_C.kind, _C.level, _C.scope, _C.key, _C.version, _C.digest, _C.value),
        *(_C.actor, _C.reason, _C.time_us, _C.event_id),
    )
    return digest_of(tx, [("entries", entries), ("changes", changes)])
