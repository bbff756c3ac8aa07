"""`trunkline token`: a token that the services' APIs take."""

from pathlib import Path

import msgspec
import pytest

from trunkline.cli.main import run
from trunkline.services.kit.api.tokens import load_verifier, public_path


def test_an_issued_token_says_whose_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--tenant", "acme", "--scope", "config:write", "--data-dir", str(tmp_path), "--json"]
    assert run(["token", *arguments]) == 0
    issued = msgspec.json.decode(capsys.readouterr().out)
    verifier = load_verifier(public_path(tmp_path / "keys" / "api-tokens.pem"))
    who = verifier.caller(issued["token"])
    assert (who.tenant, who.scopes) == ("acme", frozenset({"config:write"}))


def test_a_tenant_that_cannot_be_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["token", "--tenant", "a/b", "--data-dir", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("error: tenant 'a/b'")
