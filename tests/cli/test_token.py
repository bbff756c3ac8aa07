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


@pytest.mark.parametrize(
    ("tenant", "scope", "said"),
    [
        ("system", "oprator", "unknown scope 'oprator'; did you mean operator?"),
        ("acme", "pipeline:write", "unknown scope 'pipeline:write'; did you mean pipelines:write"),
        ("acme", "role:", "unknown scope 'role:'; did you mean role:NAME?"),
        ("acme", "role:a operator", "unknown scope 'role:a operator'"),
        ("acme", "operator", "scope operator is only good for the tenant system, not for acme"),
    ],
)
def test_a_scope_that_is_good_for_nothing_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], tenant: str, scope: str, said: str
) -> None:
    assert run(["token", "--tenant", tenant, "--scope", scope, "--data-dir", str(tmp_path)]) == 2
    printed = capsys.readouterr()
    assert (printed.out, printed.err.startswith(f"error: {said}")) == ("", True)


def test_what_a_tenant_names_itself_is_a_scope(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scopes = ("--scope", "role:analyst", "--scope", "team:buyers", "--scope", "models:write")
    assert run(["token", "--tenant", "acme", *scopes, "--data-dir", str(tmp_path)]) == 0
    assert run(["token", "--tenant", "system", "--scope", "operator", "--data-dir", str(tmp_path)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
