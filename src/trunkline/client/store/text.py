"""Text for a person to read, as every database takes it."""

from typing import Final

CHARS_MAX: Final = 2_000


def storable(text: str) -> str:
    """The beginning, without what a database may not take: NUL (PostgreSQL) and lone surrogates."""
    return text[:CHARS_MAX].replace("\0", "\ufffd").encode(errors="replace").decode()
