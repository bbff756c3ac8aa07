"""The last known good configuration survives a restart, or is not used at all."""

from pathlib import Path

import msgspec
import pytest

from trunkline.catalogue.names import SYSTEM_TENANT
from trunkline.client.broadcast.entries import Entry, Listed, Name, Rejected, change_listed
from trunkline.client.broadcast.keeping import keep, kept


def entries() -> dict[Name, Entry]:
    listed = [
        Listed(key="a.b", level="tenant", scope="acme", version=3, value={"x": [1, None]}),
        Listed(key="gone", level="global", version=2),
        Listed(key="f", kind="flag", level="global", version=1, value={"enabled": True, "tiers": ["gold"]}),
    ]
    return dict(change_listed(msgspec.to_builtins(one), SYSTEM_TENANT) for one in listed)


def test_what_was_kept_is_found_again(tmp_path: Path) -> None:
    path = tmp_path / "new" / "config.json"
    keep(path, entries())
    assert dict(kept(path)) == entries()
    keep(path, {})
    assert kept(path) == []
    assert [file.name for file in path.parent.iterdir()] == ["config.json"]


def test_no_file_is_no_configuration(tmp_path: Path) -> None:
    assert kept(tmp_path / "none") == []


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (b'"x":[1', b'"x":[2', "digest"),
        (b'"format":1', b'"format":9', "format 9"),
        (b'{"format"', b'{"fo', "not a kept configuration"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, old: bytes, new: bytes, why: str) -> None:
    path = tmp_path / "config.json"
    keep(path, entries())
    damaged = path.read_bytes().replace(old, new)
    assert damaged != path.read_bytes()
    path.write_bytes(damaged)
    with pytest.raises(Rejected, match=why):
        kept(path)
