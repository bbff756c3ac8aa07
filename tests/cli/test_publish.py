import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trunkline.client.kafka import admin

Trunkline = Callable[..., Any]
AS = ("--service", "query-engine", "--tenant", "acme")
TYPE = "query.completed.v1"


def test_an_event_is_published_and_its_position_is_told(
    trunkline: Trunkline, cluster: str, query_json: str
) -> None:
    done = trunkline("publish", *AS, TYPE, query_json, "-b", cluster, "--json")
    assert done.code == 0
    told = done.json()
    assert (told["topic"], told["type"], told["tenant"]) == ("query.execution.events", TYPE, "acme")
    plain = trunkline("publish", *AS, TYPE, query_json, "-b", cluster, "--id", "mine")
    assert plain.out == f"mine is at query.execution.events/{told['partition']}@{told['offset'] + 1}\n"


def test_data_comes_from_a_file_or_from_standard_input(
    trunkline: Trunkline,
    cluster: str,
    query_json: str,
    *,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "event.json").write_text(query_json)
    assert trunkline("publish", *AS, TYPE, f"@{tmp_path / 'event.json'}", "-b", cluster).code == 0
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(query_json.encode())))
    assert trunkline("publish", *AS, TYPE, "-", "-b", cluster).code == 0


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--service", "billing-service", "--tenant", "acme", TYPE), "billing-service does not publish"),
        (("--service", "nobody", "--tenant", "acme", TYPE), "unknown service"),
        (("--service", "query-engine", "--tenant", "a b", TYPE), "tenant 'a b'"),
        ((*AS, "query.complete.v1"), "did you mean query.completed.v1"),
    ],
)
def test_what_the_contract_does_not_allow_is_refused_without_a_broker(
    trunkline: Trunkline, query_json: str, arguments: tuple[str, ...], complaint: str
) -> None:
    done = trunkline("publish", *arguments, query_json, "-b", "127.0.0.1:1")
    assert done.code == 2
    assert complaint in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize("data", ["", "{", "[]", '{"query_id": 1}', "@/nowhere.json"])
def test_data_that_is_no_event_is_refused(trunkline: Trunkline, data: str) -> None:
    done = trunkline("publish", *AS, TYPE, data, "-b", "127.0.0.1:1")
    assert done.code == 2
    assert done.err.count("\n") == 1


def test_a_constraint_is_named_with_its_path(trunkline: Trunkline, query_json: str) -> None:
    broken = json.dumps({**json.loads(query_json), "cpu_us": -1})
    done = trunkline("publish", *AS, TYPE, broken, "-b", "127.0.0.1:1")
    assert (done.code, "$.cpu_us" in done.err) == (2, True)


def test_a_broker_that_is_not_there_is_one_line_and_exit_code_4(
    trunkline: Trunkline, query_json: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin, "REPLY_SECONDS", 0.5)
    done = trunkline("publish", *AS, TYPE, query_json, "-b", "127.0.0.1:1")
    assert done.code == 4
    assert done.err.startswith("error: no Kafka broker answers at 127.0.0.1:1")
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("service", "data", "complaint"),
    [
        ("nosuch", "{}", "unknown service 'nosuch'"),
        ("tenant-service", " ", "the data is empty"),
        ("tenant-service", "{", "not JSON"),
        (
            "tenant-service",
            '{"name":"acme","tier":"gold"}',
            'for example: {"name":"acme","tier":"professional"',
        ),
    ],
)
def test_what_is_wrong_is_said_before_a_cluster_is_looked_for(
    trunkline: Trunkline, service: str, data: str, complaint: str
) -> None:
    asked = ("publish", "-s", service, "-t", "acme", "tenant.created.v1", data, "-b", "127.0.0.1:1")
    done = trunkline(*asked)
    assert done.code == 2
    assert complaint in done.err


def test_a_setting_that_every_instance_would_refuse_is_refused_before_it_is_published(
    trunkline: Callable[..., Any], cluster: str
) -> None:
    data = '{"key":"a.b","level":"tenant","scope":"globex","value":1,"version":1,"actor_id":"u"}'
    event = ("config.value_set.v1", data, "--service", "config-service", "--tenant", "acme")
    refused = trunkline("publish", *event, "-b", cluster)
    assert refused.code == 2
    assert "a.b of tenant globex cannot be set by an event of acme; publish it under globex" in refused.err
    wide = '{"key":"a.b","level":"global","value":1,"version":1,"actor_id":"u"}'
    for_all = ("config.value_set.v1", wide, "--service", "config-service", "--tenant", "acme")
    assert "publish it under system" in trunkline("publish", *for_all, "-b", cluster).err
