"""Running, explaining and looking up queries from the command line."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from trunkline.catalogue.events.policy import PolicyHeartbeat, PolicyPublished
from trunkline.catalogue.load import load_catalogue
from trunkline.catalogue.names import SYSTEM_TENANT
from trunkline.cli import _query_desk
from trunkline.client.config import ConnectionOptions
from trunkline.client.publisher import Publisher
from trunkline.errors import Unavailable
from trunkline.services.policies.bundle import activation, new_bundle
from trunkline.services.query.app import kept_policies_path
from trunkline.services.query.keeping import keep
from trunkline.services.query.replica import tenant_policies
from trunkline.testing.query import policy

Trunkline = Callable[..., Any]
BUYERS = 'forbid (principal, action, resource) unless { principal in Team::"buyers" };'
POLICIES = (
    policy("access", "urn:table:tpch.supplier", BUYERS, policy_id="p-buyers"),
    policy("row_filter", "urn:table:tpch.nation", "n_regionkey = 3", policy_id="p-europe"),
)
PROPOSED = """
- policy_id: p-none
  kind: access
  scope: urn:table:tpch.nation
  body: forbid (principal, action, resource);
"""


@pytest.fixture
def governed(fresh_cluster: str) -> str:
    """A cluster on which governance has published the policies of acme, and is alive."""
    connection = ConnectionOptions(bootstrap_servers=fresh_cluster)
    with Publisher(
        service="governance-service", connection=connection, catalogue=load_catalogue(None)
    ) as publisher:
        for one in POLICIES:
            event = PolicyPublished(
                policy_id=one.policy_id,
                version=one.version,
                kind=one.kind,
                mode=one.mode,
                scope=one.scope,
                body=one.body,
                actor_id="u-40",
            )
            publisher.publish(event, tenant="acme")
        publisher.publish(activation(new_bundle("acme", 1, POLICIES), previous_revision=0), tenant="acme")
        beat = PolicyHeartbeat(
            sequence=1, sent_at=datetime.now(UTC), every_ms=5_000, bundles=1, digest="0" * 64
        )
        publisher.publish(beat, tenant=SYSTEM_TENANT).result(20)
        publisher.flush(20)
    return fresh_cluster


def test_a_query_is_run_explained_denied_and_looked_up(
    trunkline: Trunkline, governed: str, tmp_path: Path
) -> None:
    here = ("--data-dir", str(tmp_path), "-b", governed)
    acme = ("--tenant", "acme", "--user", "u-17")
    shown = trunkline("query", "run", "SELECT n_name FROM nation ORDER BY 1 LIMIT 1", *acme, *here)
    assert shown.code == 0, shown.err
    assert shown.out.split() == ["n_name", "FRANCE"]
    assert "1 row, in" in shown.err
    assert "under policy revision 1" in shown.err

    found = trunkline("query", "run", "SELECT count(*) AS n FROM nation", *acme, *here, "--json").json()
    assert (found["rows"], found["policy_revision"]) == ([[5]], 1)

    denied = trunkline("query", "run", "SELECT * FROM supplier", *acme, *here)
    assert (denied.code, denied.out) == (3, "")
    assert "denied: urn:table:tpch.supplier by policy p-buyers in revision 1" in denied.err
    assert trunkline("query", "run", "SELECT 1 FROM supplier", *acme, "--team", "buyers", *here).code == 0

    explained = trunkline("query", "explain", "SELECT * FROM nation, supplier", *acme, *here)
    assert explained.code == 3
    assert "rows filtered by p-europe" in explained.out
    bad = trunkline("query", "run", "DROP TABLE nation", *acme, *here)
    assert bad.code == 2
    assert "send one SELECT" in bad.err

    log = trunkline("query", "log", "--tenant", "acme", "--data-dir", str(tmp_path), "--json").json()
    assert [entry["state"] for entry in log] == ["failed", "completed", "denied", "completed", "completed"]

    proposed = tmp_path / "proposed.yaml"
    proposed.write_text(PROPOSED)
    whatif = trunkline("query", "whatif", str(proposed), "--tenant", "acme", *here, "--json").json()
    assert {one["then"]["decision"] for one in whatif["differences"]} == {"denied", "allowed"}
    proposed.write_text("- {policy_id: p, kind: access, scope: '*', body: nonsense}")
    refused = trunkline("query", "whatif", str(proposed), "--tenant", "acme", *here)
    assert (refused.code, "not Cedar" in refused.err) == (2, True)


def test_without_a_cluster_nothing_is_decided_by_what_was_known_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_query_desk, "POLICIES_SECONDS", 0.1)
    path = kept_policies_path(tmp_path)
    path.parent.mkdir(parents=True)
    keep(path, {"acme": tenant_policies(new_bundle("acme", 1, POLICIES), {})})
    nowhere = ConnectionOptions(bootstrap_servers="127.0.0.1:1")
    with (
        pytest.raises(Unavailable, match="the policies are not known"),
        _query_desk.local_desk(tmp_path, None, nowhere),
    ):
        pytest.fail("there is a desk")


def test_a_service_that_is_not_there_is_said_to_be_unavailable(trunkline: Trunkline, tmp_path: Path) -> None:
    ask = ("query", "run", "SELECT 1", "--tenant", "acme", "--user", "u", "--url", "http://127.0.0.1:1")
    without_key = trunkline(*ask, "--data-dir", str(tmp_path))
    assert (without_key.code, "no key to sign a token" in without_key.err) == (2, True)
    assert trunkline("token", "--tenant", "acme", "--data-dir", str(tmp_path)).code == 0
    away = trunkline(*ask, "--data-dir", str(tmp_path))
    assert (away.code, "is query-engine running there?" in away.err) == (4, True)
