"""Snapshots come well before retention."""

from dataclasses import replace

from trunkline.catalogue.load import load_catalogue
from trunkline.client.broadcast.publishing import SNAPSHOT_SECONDS, snapshot_seconds


def test_a_snapshot_is_repeated_every_six_hours_or_eight_times_within_the_retention() -> None:
    environment = load_catalogue(None).environment("development")
    assert snapshot_seconds(environment) == SNAPSHOT_SECONDS
    assert snapshot_seconds(replace(environment, retention_ms=8_000)) == 1.0
