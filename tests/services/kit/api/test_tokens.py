"""Tokens and their key: what is refused when one is issued."""

import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from trunkline.errors import InvalidInput
from trunkline.services.kit.api.tokens import issue, load_or_create_key, load_verifier, public_path

NOW = datetime.now(UTC)


def test_a_key_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "tokens.pem"
    key = load_or_create_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    token = issue(key, tenant="acme", subject="u", scopes=["b", "a"], now=NOW, lifetime=timedelta(hours=1))
    who = load_verifier(public_path(path)).caller(token)
    assert (who.tenant, who.subject, who.scopes) == ("acme", "u", frozenset({"a", "b"}))
    assert load_or_create_key(path).private_bytes_raw() == key.private_bytes_raw()


@pytest.mark.parametrize(("tenant", "hours"), [("a/b", 1), ("", 1), ("acme", 0), ("acme", 24 * 91)])
def test_a_token_that_could_not_be_is_not_issued(tmp_path: Path, tenant: str, hours: int) -> None:
    key = load_or_create_key(tmp_path / "k.pem")
    with pytest.raises(InvalidInput):
        issue(key, tenant=tenant, subject="u", scopes=[], now=NOW, lifetime=timedelta(hours=hours))


@pytest.mark.parametrize("content", [b"", b"-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----\n"])
def test_a_file_that_is_no_key_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "k.pem"
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match=r"token key .*k\.pem"):
        load_or_create_key(path)
    with pytest.raises(InvalidInput, match=r"token key .*k\.pem"):
        load_verifier(path)


def test_the_public_half_is_made_again_where_it_was_lost(tmp_path: Path) -> None:
    """Whoever made the private one may have died before the public one was there."""
    path = tmp_path / "key.pem"
    key = load_or_create_key(path)
    public_path(path).unlink()
    load_or_create_key(path)
    token = issue(key, tenant="acme", subject="u", scopes=(), now=datetime.now(UTC), lifetime=timedelta(1))
    assert load_verifier(public_path(path)).caller(token).tenant == "acme"


def test_the_key_is_made_once_by_all_who_make_it_at_once(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda _: load_or_create_key(path).private_bytes_raw(), range(16)))
    assert len(set(keys)) == 1
    assert path.stat().st_mode & 0o077 == 0
    assert sorted(found.name for found in tmp_path.iterdir()) == ["key.pem", "key.pub.pem"]
