"""The key ring: what is sealed is read again, elsewhere it is not, and nothing is left of a destroyed key."""

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from trunkline.client.errors import StoreUnavailable
from trunkline.client.store import open_store
from trunkline.errors import InvalidInput
from trunkline.services.kit.keys import KEY_BYTES, TENANT_KEY, KeyRing, Sealed, load_or_create_master


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys")


@pytest.fixture(scope="module")
def ring(directory: Path) -> Iterator[KeyRing]:
    with closing(KeyRing.open(f"sqlite:///{directory / 'keys.db'}", directory / "master.key")) as opened:
        yield opened


def again(directory: Path) -> KeyRing:
    return KeyRing.open(f"sqlite:///{directory / 'keys.db'}", directory / "master.key")


@given(value=st.binary(max_size=2_000), place=st.text(max_size=40))
def test_what_was_sealed_is_read_again(ring: KeyRing, value: bytes, place: str) -> None:
    sealed = ring.seal("acme", value, place=place)
    assert ring.unseal("acme", sealed, place=place) == value
    assert len(value) < 8 or value not in sealed


def test_another_instance_reads_it_too(ring: KeyRing, directory: Path) -> None:
    sealed = ring.seal("globex", b"ada@globex.example", place="user.email")
    with closing(again(directory)) as other:
        assert other.unseal("globex", sealed, place="user.email") == b"ada@globex.example"


@pytest.mark.parametrize(("tenant", "place"), [("globex", "user.email"), ("acme", "user.name")])
def test_it_cannot_be_read_for_another_tenant_or_in_another_place(
    ring: KeyRing, tenant: str, place: str
) -> None:
    ring.seal("globex", b"so that there is a key", place="user.email")
    sealed = ring.seal("acme", b"ada@acme.example", place="user.email")
    with pytest.raises(Sealed, match=f"a value of {tenant} in {place} cannot be read"):
        ring.unseal(tenant, sealed, place=place)


@given(flipped=st.integers(min_value=0, max_value=44))
def test_every_changed_byte_is_noticed(ring: KeyRing, flipped: int) -> None:
    sealed = bytearray(ring.seal("acme", b"0123456789abcdef", place="p"))
    assert len(sealed) == 45
    sealed[flipped] ^= 1
    with pytest.raises(Sealed):
        ring.unseal("acme", bytes(sealed), place="p")


@pytest.mark.parametrize("torn", [b"", b"\x01", b"\x01abc"])
def test_what_is_too_short_is_refused(ring: KeyRing, torn: bytes) -> None:
    ring.seal("acme", b"", place="p")
    with pytest.raises(Sealed):
        ring.unseal("acme", torn, place="p")


def stored(directory: Path, tenant: str) -> bytes:
    """The tenant's key as it is kept."""
    with closing(open_store(f"sqlite:///{directory / 'keys.db'}")) as store, store.read() as tx:
        found: bytes = tx.execute(
            select(TENANT_KEY.c.wrapped).where(TENANT_KEY.c.tenant == tenant)
        ).scalar_one()
    return found


def all_bytes(directory: Path) -> bytes:
    return b"".join(file.read_bytes() for file in directory.iterdir())


def test_a_destroyed_key_leaves_nothing_readable_and_no_bytes_in_the_file(tmp_path: Path) -> None:
    with closing(again(tmp_path)) as ring:
        sealed = ring.seal("acme", b"secret", place="p")
        wrapped = stored(tmp_path, "acme")
        assert wrapped in all_bytes(tmp_path)
        assert ring.destroy(["acme", "nobody"]) == 1
        assert wrapped not in all_bytes(tmp_path)
        assert ring.destroy(["acme"]) == 0
        assert ring.unseal("acme", sealed, place="p") is None
    with closing(again(tmp_path)) as later:
        assert later.unseal("acme", sealed, place="p") is None


def test_a_key_that_somebody_still_reads_is_not_called_destroyed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trunkline.client.store.sqlite.BUSY_SECONDS", 0.05)
    url = f"sqlite:///{tmp_path / 'keys.db'}"
    with closing(again(tmp_path)) as ring, closing(open_store(url)) as store:
        ring.seal("acme", b"secret", place="p")
        wrapped = stored(tmp_path, "acme")
        with store.read() as tx:
            tx.execute(select(TENANT_KEY.c.tenant)).all()
            with pytest.raises(StoreUnavailable, match="still in its log"):
                ring.destroy(["acme"])
        assert ring.destroy(["acme"]) == 0
        assert wrapped not in all_bytes(tmp_path)


def test_instances_that_need_a_key_at_once_get_the_same(store_url: str, tmp_path: Path) -> None:
    together = threading.Barrier(4)
    with ExitStack() as opened, ThreadPoolExecutor(4) as threads:
        rings = [
            opened.enter_context(closing(KeyRing.open(store_url, tmp_path / "master.key"))) for _ in range(4)
        ]

        def seal(ring: KeyRing) -> list[bytes]:
            sealed = []
            for number in range(20):
                together.wait()
                sealed.append(ring.seal(f"t-{number}", b"secret", place="p"))
            return sealed

        for sealed in threads.map(seal, rings):
            for number, one in enumerate(sealed):
                assert rings[0].unseal(f"t-{number}", one, place="p") == b"secret"


def test_what_is_sealed_after_a_destruction_is_under_a_new_key(tmp_path: Path) -> None:
    with closing(again(tmp_path)) as ring:
        old = ring.seal("acme", b"old", place="p")
        ring.destroy(["acme"])
        new = ring.seal("acme", b"new", place="p")
        assert ring.unseal("acme", new, place="p") == b"new"
        with pytest.raises(Sealed):
            ring.unseal("acme", old, place="p")


def test_the_master_key_is_its_owners_alone_and_stays_the_same(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "master.key"
    first = load_or_create_master(path)
    assert len(first) == KEY_BYTES
    assert path.stat().st_mode & 0o077 == 0
    assert load_or_create_master(path) == first


def test_a_damaged_master_key_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    path.write_bytes(b"short")
    with pytest.raises(InvalidInput, match="5 bytes instead of 32; restore it from a backup"):
        load_or_create_master(path)


def test_keys_of_another_master_are_told_apart_from_changed_values(tmp_path: Path) -> None:
    with closing(again(tmp_path)) as ring:
        sealed = ring.seal("acme", b"x", place="p")
    (tmp_path / "master.key").write_bytes(b"0" * KEY_BYTES)
    with closing(again(tmp_path)) as other, pytest.raises(Sealed, match="of another master key"):
        other.unseal("acme", sealed, place="p")


def test_the_master_key_is_made_once_by_all_who_make_it_at_once(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: load_or_create_master(path), range(32)))
    assert len(keys) == 1
    assert [found.name for found in tmp_path.iterdir()] == ["master.key"]


def test_a_master_key_whose_maker_died_on_the_way_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A half-made one would be taken for a damaged one, for good."""

    def died(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", died)
        with pytest.raises(InvalidInput, match="No space left"):
            load_or_create_master(tmp_path / "master.key")
    assert len(load_or_create_master(tmp_path / "master.key")) == KEY_BYTES
