"""The monitors on a stream with known faults: better than a plain z-score, and good."""

from trunkline.testing.quality_stream import found_by_monitors, found_by_z_score, judged, stream


def test_monitors_find_faults_and_little_else() -> None:
    given = stream(3, copies=2)
    ours, theirs = judged(given, found_by_monitors(given)), judged(given, found_by_z_score(given))
    assert ours.recall >= 0.9
    assert ours.precision >= 0.8
    assert ours.recall > theirs.recall
    assert ours.precision > theirs.precision
    assert ours.false_alarms_per_asset_month < theirs.false_alarms_per_asset_month
    assert theirs.by_fault["dropped"] < 0.5 < ours.by_fault["dropped"]
