"""Identities of events: fresh ones for what happens, derived ones for what follows from it."""

from typing import Final

import msgspec
import uuid_utils

NAMESPACE: Final = uuid_utils.UUID("6f1a0a52-6a0c-5f37-9d5a-3c1b6b0f7d11")
"""Fixed for ever: with another namespace a replay would derive other ids, and all would count twice."""


def new_id() -> str:
    """A UUIDv7 (RFC 9562): unique, and in order of creation, which keeps indexes by id compact."""
    return str(uuid_utils.uuid7())


def derive_id(*parts: str) -> str:
    """A UUIDv5 of the parts: the same for the same parts, whenever and wherever it is derived.

    The parts are joined as a JSON array, so that `("a", "bc")` and `("ab", "c")` differ.
    """
    return str(uuid_utils.uuid5(NAMESPACE, msgspec.json.encode(parts).decode()))
