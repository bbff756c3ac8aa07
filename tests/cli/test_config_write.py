"""Changing the configuration from the command line: on the service's store, and over its HTTP API."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from trunkline.catalogue.load import load_catalogue
from trunkline.client.admin import ensure_topics
from trunkline.client.config import ConnectionOptions
from trunkline.testing.consuming import eventually
from trunkline.testing.processes import BrokerProcess, CommandProcess

Trunkline = Callable[..., Any]
ABOUT = ("query.timeout_ms", "--tenant", "acme")


@pytest.fixture
def on_store(trunkline: Trunkline, tmp_path: Path) -> Trunkline:
    """A `trunkline config` command on a store of the test's own, as ana."""

    def call(command: str, *arguments: str) -> Any:
        writes = command in ("set", "unset", "flag", "rollback", "schedule", "approve", "cancel")
        actor = ("--actor", "ana") if writes and "--actor" not in arguments else ()
        return trunkline("config", command, *arguments, *actor, "--data-dir", str(tmp_path))

    return call


def test_a_setting_is_set_looked_back_at_and_rolled_back(on_store: Trunkline) -> None:
    assert on_store("set", *ABOUT[:1], "30000", *ABOUT[1:], "--reason", "why").out == (
        "query.timeout_ms (tenant acme) has version 1\n"
    )
    assert "is so already, version 1" in on_store("set", ABOUT[0], "30000", *ABOUT[1:]).out
    assert on_store("set", ABOUT[0], "1", *ABOUT[1:], "--expect", "1").code == 0
    conflict = on_store("set", ABOUT[0], "2", *ABOUT[1:], "--expect", "1")
    assert (conflict.code, conflict.err.count("\n")) == (1, 1)
    assert "has version 2, not 1" in conflict.err
    assert "has version 3" in on_store("rollback", *ABOUT, "--to", "1").out
    assert "has version 4" in on_store("unset", *ABOUT).out
    told = on_store("history", *ABOUT, "--json").json()
    assert [(one["version"], one["value"], one["origin"], one["actor"]) for one in told] == [
        (4, None, "unset", "ana"),
        (3, 30000, "rollback", "ana"),
        (2, 1, "set", "ana"),
        (1, 30000, "set", "ana"),
    ]
    assert "(unset)" in on_store("history", *ABOUT).out
    differences = on_store("diff", "--since", "2020-01-01T00:00:00Z", "--json").json()
    assert differences == {"items": [], "complete": True}


def test_what_cannot_be_is_refused_in_one_line_and_changes_nothing(on_store: Trunkline) -> None:
    missing = on_store("history", "a.b")
    assert missing.code == 2
    assert "has no store" in missing.err
    for arguments, reason in (
        (("set", "query.timeout_ms", '"soon"'), "query.timeout_ms: Expected `int`, got `str`"),
        (("set", "query.timeot_ms", "1"), "did you mean query.timeout_ms"),
        (("set", "a.b", "soon"), "the value is not JSON"),
        (("set", "a.b", "@/no/such/file"), "/no/such/file: No such file"),
        (("set", "a.b", "1", "--tenant", "acme", "--service", "audit-service"), "give one of --tenant"),
        (("set", "a.b", "1", "--service", "audit"), "did you mean audit-service"),
        (("set", "a.token", '"x"', "--at", "tomorrow"), "write 2026-12-01T08:00:00Z, or 15m"),
        (("set", "a.password", '"x"'), "set a reference"),
        (("flag", "Bad", "on"), "use words of a-z"),
        (("set", "a.b", "1", "--url", "http://127.0.0.1:1"), "--url needs --token"),
    ):
        refused = on_store(*arguments)
        assert (refused.code, refused.out, refused.err.count("\n")) == (2, "", 1), arguments
        assert reason in refused.err


def test_a_change_waits_for_its_time_and_can_be_taken_back(on_store: Trunkline) -> None:
    plan = on_store("schedule", "a.b", "[1]", "--at", "2h", "--json").json()
    assert plan["outcome"] == "scheduled"
    assert "scheduled" in on_store("scheduled").out
    assert "cancelled: by ana" in on_store("cancel", plan["plan_id"]).out
    assert on_store("scheduled").err == "nothing waits\n"
    again = on_store("cancel", plan["plan_id"])
    assert (again.code, "is cancelled already" in again.err) == (1, True)
    unknown = on_store("cancel", "nonsense")
    assert (unknown.code, "there is no plan 'nonsense'" in unknown.err) == (2, True)


@pytest.mark.parametrize("command", ["schedule", "set"])
def test_a_time_in_the_past_is_refused_and_nothing_is_set(on_store: Trunkline, command: str) -> None:
    refused = on_store(command, "a.b", "1", "--at", "2020-12-01T08:00:00Z")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.startswith("error: a.b: 2020-12-01T08:00:00Z is in the past; ")
    assert on_store("history", "a.b", "--json").json() == []


def test_a_flag_is_switched_and_taken_back(on_store: Trunkline) -> None:
    assert on_store("flag", "ui.editor", "on", "--rollout", "25", "--tier", "gold").code == 0
    assert on_store("flag", "ui.editor", "off", "--tenant", "acme").code == 0
    assert on_store("unset", "ui.editor", "--flag", "--tenant", "acme").code == 0
    (of_all,) = on_store("history", "ui.editor", "--flag", "--json").json()[-1:]
    assert of_all["value"] == {"enabled": True, "rollout_percent": 25, "tiers": ["gold"]}
    assert len(on_store("history", "ui.editor", "--flag", "--tenant", "acme", "--json").json()) == 2


@pytest.fixture
def running(broker_factory: Callable[..., BrokerProcess], tmp_path: Path) -> Iterator[tuple[str, str]]:
    """A config service with its API: the addresses of broker and API."""
    address = broker_factory().address
    ensure_topics(ConnectionOptions(bootstrap_servers=address), load_catalogue(None), "development")
    where = ("--data-dir", str(tmp_path), "-b", address, "--api-port", "0", "--json")
    ready: list[str] = []

    def is_ready(line: str) -> bool:
        ready.append(line)
        return line.startswith("{")

    with CommandProcess(("service", "config-service", *where), ready=is_ready):
        port = json.loads(ready[-1])["api_port"]
        yield address, f"http://127.0.0.1:{port}"


def test_a_change_over_http_is_known_to_every_instance(
    trunkline: Trunkline, running: tuple[str, str], tmp_path: Path
) -> None:
    address, url = running
    data = ("--data-dir", str(tmp_path))
    operator = trunkline("token", "--tenant", "system", "--scope", "operator", "--subject", "ops", *data).out
    tenant = trunkline("token", "--tenant", "acme", "--scope", "config:write", "--subject", "eve", *data).out
    at = ("--url", url, "--token", operator.strip())

    def first() -> bool:
        # Until it has read its topic the service refuses to count versions.
        return bool(trunkline("config", "set", "export.rows_max", "1", *at).code == 0)

    eventually(first)
    eventually(lambda: trunkline("config", "instances", "-b", address, "--json").json() != [])
    done = trunkline("config", "set", "export.rows_max", "2", *at, "--wait", "-b", address)
    assert (done.code, done.out) == (0, "export.rows_max (global) has version 2\n")
    assert done.err == "export.rows_max is in version 2 on 1 instance\n"
    mine = ("--url", url, "--token", tenant.strip())
    assert trunkline("config", "set", "export.rows_max", "3", "-t", "acme", *mine).code == 0
    for_all = trunkline("config", "set", "export.rows_max", "3", *mine)
    assert (for_all.code, "can change the level tenant of acme only" in for_all.err) == (2, True)
    assert [
        one["actor"] for one in trunkline("config", "history", "export.rows_max", *mine, "--json").json()
    ] == ["eve"]
    assert len(trunkline("config", "history", "export.rows_max", *at, "--json").json()) == 3
    plan = trunkline("config", "set", "a.b", "1", "--at", "1h", *at, "--json").json()["plan_id"]
    assert trunkline("config", "cancel", plan, *mine).code == 2
    assert "cancelled: by ops" in trunkline("config", "cancel", plan, *at).out
    bad = trunkline("config", "set", "query.timeout_ms", '"x"', *at)
    assert (bad.code, "Expected `int`, got `str`" in bad.err) == (2, True)
    assert trunkline("config", "rollback", "export.rows_max", "--to", "1", *at).code == 0
    since = trunkline("config", "diff", "--since", "2020-01-01T00:00:00Z", *at, "--json").json()
    assert {one["key"]: one["after"] for one in since["items"] if one["level"] == "global"} == {
        "export.rows_max": 1
    }
    waited = trunkline("config", "wait", "export.rows_max", "--version", "9", "--timeout", "0", "-b", address)
    assert (waited.code, "was not in the topic" in waited.err) == (1, True)
    away = trunkline("config", "set", "a.b", "1", "--url", "http://127.0.0.1:1", "--token", "x")
    assert (away.code, away.err.count("\n")) == (4, 1)
