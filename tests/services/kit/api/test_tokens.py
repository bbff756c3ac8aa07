"""Tokens and their key: what is refused when one is issued."""

import stat
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
