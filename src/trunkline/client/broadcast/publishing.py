"""How often everything on record has to be published again, so that retention never forgets it. Pure."""

from typing import Final

from trunkline.catalogue.model import Environment

SNAPSHOT_SECONDS: Final = 6 * 3_600.0
RETENTION_SHARE: Final = 8
"""A snapshot is repeated so many times at least before retention deletes the first."""


def snapshot_seconds(environment: Environment) -> float:
    """From one snapshot to the next: six hours, and less where so rare a one could be forgotten."""
    return min(SNAPSHOT_SECONDS, environment.retention_ms / 1_000 / RETENTION_SHARE)
