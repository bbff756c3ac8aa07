"""`trunkline tenant`, `iam` and `agent`: what people type, and what they read."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def ask(trunkline: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    def call(line: str, *more: str) -> Any:
        return trunkline(*line.split(), *more, "--data-dir", str(tmp_path))

    return call


@pytest.fixture
def acme(ask: Callable[..., Any]) -> None:
    assert ask("tenant create acme --tier starter --region eu --admin-email ada@acme.example").code == 0


@pytest.mark.usefixtures("acme")
def test_a_tenants_life_in_one_line_a_step(ask: Callable[..., Any]) -> None:
    assert ask("tenant activate acme").out == "tenant acme is active, version 2\n"
    assert ask("tenant activate acme").out == "tenant acme was already active, version 2\n"
    assert ask("tenant change-tier acme free").out == "tenant acme is active, version 3\n"
    assert ask("tenant suspend acme --reason abuse").out == "tenant acme is suspended, version 4\n"
    assert ask("tenant reactivate acme").out == "tenant acme is active, version 5\n"
    assert ask("tenant schedule-deletion acme --grace-days 1").code == 0
    refused = ask("tenant delete acme")
    assert refused.code == 1
    assert "its grace period lasts until" in refused.err
    assert ask("tenant delete acme --now").out == "tenant acme is deleted, version 7\n"
    shown = ask("tenant show acme --json").json()
    assert [change["version"] for change in shown["changes"]] == list(range(1, 8))


@pytest.mark.usefixtures("acme")
def test_a_refused_step_is_one_line_and_exit_code_1(ask: Callable[..., Any]) -> None:
    refused = ask("tenant suspend acme --reason abuse")
    assert (refused.code, refused.out) == (1, "")
    assert refused.err == "error: cannot suspend tenant acme: it is pending, and must be active\n"
    assert ask("tenant activate acme --expected 7").code == 1
    assert ask("tenant fail acme --step x --message y").code == 0


@pytest.mark.usefixtures("acme")
def test_tenants_are_listed_and_shown(ask: Callable[..., Any]) -> None:
    assert ask("tenant create globex --tier free --region us").code == 0
    assert [one["tenant"] for one in ask("tenant list --json").json()] == ["acme", "globex"]
    assert ask("tenant list --state active --json").json() == []
    unknown = ask("tenant list --state gone")
    assert (unknown.code, "known are" in unknown.err) == (2, True)
    assert "administrator ada@acme.example" in ask("tenant show acme").out
    assert "globex" in ask("tenant list").out
    assert ask("tenant show nobody").code == 2


def test_bad_input_is_refused_with_what_to_do(ask: Callable[..., Any]) -> None:
    assert "there are free, starter" in ask("tenant create acme --tier gold --region eu").err
    assert "system" in ask("tenant create system --tier free --region eu").err
    assert "no store" in ask("agent complete r-1 --tenant acme").err
    ask("agent start r-1 --tenant acme --agent a --user u")
    for command in ("complete r-9", "show r-9", "tool r-9 t"):
        unknown = ask(f"agent {command} --tenant acme")
        assert (unknown.code, unknown.err) == (2, "error: tenant acme has no run r-9\n")
    assert "there are success" in ask("agent tool r-1 t --tenant acme --outcome maybe").err
    assert "there are password" in ask("iam login u --tenant acme --method magic").err


def test_what_no_database_can_hold_is_refused_in_one_line(ask: Callable[..., Any]) -> None:
    ask("agent start r-1 --tenant acme --agent a --user u")
    used = "agent tokens r-1 --tenant acme --provider x --model m --output 1 --input"
    for refused in (ask(used, str(2**64)), ask("agent show --tenant acme", "r-\udcff")):
        assert (refused.code, refused.err.count("\n")) == (2, 1)
        assert "a value is beyond what can be stored" in refused.err


def test_logins_permissions_roles_keys_and_requests(ask: Callable[..., Any]) -> None:
    failed = ask("iam login u-17 --tenant acme --failed --source-ip 192.0.2.1")
    assert (failed.code, failed.out) == (1, "u-17 is not let in: bad_credentials, 1 failure in a row\n")
    assert ask("iam login u-17 --tenant acme").out == "u-17 is let in\n"
    assert ask("iam unlock u-17 --tenant acme").code == 0
    grant = "u-17 query.execute urn:schema:sales --tenant acme"
    assert ask(f"iam grant {grant}").out == "u-17 has query.execute on urn:schema:sales\n"
    assert ask(f"iam grant {grant} --json").json() == {"changed": False}
    assert ask(f"iam revoke {grant}").out == "u-17 has lost query.execute on urn:schema:sales\n"
    assert ask("iam assign u-17 analyst --tenant acme").out == "u-17 is analyst\n"
    assert ask("iam unassign u-17 analyst --tenant acme --reason left").out == "u-17 is no analyst\n"
    assert ask("iam unassign u-17 analyst --tenant acme --json").json() == {"changed": False}
    assert ask("iam assign u-17 analyst --tenant acme").out == "u-17 is analyst\n"
    key = ask("iam create-key --tenant acme --name nightly --json").json()
    assert key["key"].startswith(f"tlk_{key['key_id']}_")
    assert ask(f"iam revoke-key {key['key_id']} --tenant acme").code == 0
    assert ask("iam request-erasure c-1 --tenant acme --id er-1 --due 2027-01-01").out == "er-1\n"
    assert ask("iam complete-erasure er-1 --tenant acme --services 9 --records 4").code == 0
    shown = ask("iam show --tenant acme --json").json()
    assert [len(rows) for rows in shown.values()] == [1, 0, 1, 1, 1]
    assert key["key"] not in ask("iam show --tenant acme").out
    assert "no tenant has ended" in ask("tenant receipts").err


def test_what_iam_does_not_know_is_a_mistake_and_what_has_passed_too(ask: Callable[..., Any]) -> None:
    ask("iam grant u-30 x.y urn:schema:s --tenant acme --expires 2030-01-01")
    refused = ask("iam grant u-30 x.y urn:schema:s --tenant acme --expires 2020-01-01")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err == "error: expires_at 2020-01-01T00:00:00Z is not in the future\n"
    shown = ask("iam show --tenant acme")
    assert "2030-01-01T00:00:00Z" in shown.out
    assert "+00:00" not in shown.out
    assert ask("iam revoke-key nope --tenant acme").code == 2
    assert ask("iam complete-erasure nope --tenant acme --services 1 --records 1").code == 2


def test_a_run_of_an_agent(ask: Callable[..., Any]) -> None:
    assert ask("agent start r-1 --tenant acme --agent analyst --user u-17").code == 0
    assert ask("agent tool r-1 run_query --tenant acme --duration-ms 140 --key k").code == 0
    tokens = "--tenant acme --provider in_house --model m-70b --input 3100 --output 420"
    for _ in range(2):
        assert ask(f"agent tokens r-1 {tokens} --key call-1").code == 0
    ended = ask("agent complete r-1 --tenant acme").out
    assert ended == "run r-1 of analyst for u-17: completed, 2 steps, 3,100 tokens in, 420 out\n"
    shown = ask("agent show r-1 --tenant acme --json").json()
    assert [step["kind"] for step in shown["steps"]] == ["tool", "tokens"]
    assert "in_house/m-70b" in ask("agent show r-1 --tenant acme").out
    assert ask("agent list --tenant acme").out == ended
    assert ask("agent fail r-1 --tenant acme --code x --message y").code == 1


def test_a_hold_is_placed_listed_and_released(ask: Callable[..., Any], tmp_path: Path) -> None:
    from trunkline.client.store import open_store

    (tmp_path / "services").mkdir()
    open_store(f"sqlite:///{tmp_path / 'services' / 'audit-service.db'}").close()
    assert ask("audit hold acme --by counsel --reason case").err == "tenant acme is held\n"
    assert ask("audit hold acme --by else --reason other").code == 2
    assert ask("audit holds --json").json()[0]["reason"] == "case"
    assert "counsel" in ask("audit holds").out
    assert ask("audit release acme --by counsel --reason closed --json").json()["held"] is False
    assert ask("audit release acme --by counsel --reason closed").code == 2
    types = {entry["type"] for entry in ask("audit search --tenant acme --json").json()["entries"]}
    assert types == {"audit.hold_placed", "audit.hold_released"}
