"""The books of the services that only publish: they balance, and do not once a single figure is another."""

import importlib
import random
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import Update, update

from trunkline.catalogue.events import Event
from trunkline.catalogue.events.tenant import TenantDeleted
from trunkline.catalogue.load import load_catalogue
from trunkline.catalogue.names import SYSTEM_TENANT, TenantId
from trunkline.client.store import Store
from trunkline.codec import Envelope, Record, new_envelope
from trunkline.errors import TrunklineError
from trunkline.services.ai import tables as ai
from trunkline.services.ai.desk import Desk as AgentDesk
from trunkline.services.ai.desk import Tokens, ToolCall
from trunkline.services.app import Context
from trunkline.services.iam import tables as iam
from trunkline.services.iam.desk import Desk as AccessDesk
from trunkline.services.iam.receipts import take
from trunkline.services.kit.ending import End, Receipt
from trunkline.services.ml import naming, registering, serving
from trunkline.services.ml import tables as ml
from trunkline.services.ml.work import changing
from trunkline.services.pipeline import tables as pipeline
from trunkline.services.pipeline.runs import Desk as RunDesk
from trunkline.services.query import tables as query
from trunkline.services.query.databases import Databases
from trunkline.services.tenant import tables as tenant
from trunkline.services.tenant.desk import Desk as TenantDesk
from trunkline.testing.checker import Claim
from trunkline.testing.offices import BEGIN, office_of, told
from trunkline.testing.oracles import ORACLES
from trunkline.testing.oracles.events import event_log
from trunkline.testing.query import EngineBench, policy
from trunkline.testing.suite.streams import batches

ACME, GLOBEX, GONE = "acme", "globex", "gone"
END: Final = End(tenant=GONE, deletion_id="d-1", deleted_at=BEGIN)
DEADLINE: Final = BEGIN + timedelta(days=90)


def tenants_live(context: Context) -> None:
    desk = TenantDesk.of(context)
    with context.store.write() as tx:
        for name in (ACME, GLOBEX, GONE):
            desk.create(tx, name, tier="starter", region="eu", actor="ops")
        desk.fail(tx, GLOBEX, step="create_namespace", message="no answer")
        for name in (ACME, GONE):
            desk.activate(tx, name, actor="ops")
        desk.change_tier(tx, ACME, tier="enterprise", actor="ops")
        desk.suspend(tx, ACME, reason="abuse", actor="ops")
        desk.schedule_deletion(tx, GONE, actor="ops")
        desk.delete(tx, GONE, actor="ops", now=True)


def people_come_and_go(context: Context) -> None:
    desk, outbox = AccessDesk.of(context), context.outbox
    assert outbox is not None
    with context.store.write() as tx:
        for verified in (False, True, True):
            desk.log_in(tx, ACME, "ada", method="sso", verified=verified)
        for number, until in enumerate((DEADLINE, None, None)):
            desk.grant(tx, ACME, "ada", "read", f"urn:schema:{number}", actor="ops", expires_at=until)
        desk.revoke(tx, ACME, "ada", "read", "urn:schema:2", actor="ops")
        desk.grant(tx, ACME, "ada", "read", "urn:schema:0", actor="ops")
        for role in ("analyst", "owner"):
            desk.assign_role(tx, ACME, "ada", role, actor="ops")
            desk.unassign_role(tx, ACME, "ada", role, actor="ops")
        desk.assign_role(tx, ACME, "ada", "analyst", actor="ops")
        kept, revoked = (desk.create_key(tx, ACME, actor="ops") for _ in range(2))
        desk.revoke_key(tx, ACME, revoked.key_id, actor="ops")
        assert desk.authenticate(tx, kept.key) is not None
        for person in ("c-1", "c-2"):
            desk.request_erasure(tx, ACME, person, actor="ops", request_id=person)
        desk.complete_erasure(tx, ACME, "c-1", actor="ops", services=13, records=40)
        for service in load_catalogue().services:
            rows = {"a": 3, "b": 4}
            take(tx, Receipt.of(END, service=service, erased_at=BEGIN, rows=rows, keys_destroyed=1), outbox)


def agents_run(context: Context) -> None:
    desk = AgentDesk.of(context)
    used = Tokens(provider="in_house", model="m-70b", input=310, output=42, cached=100)
    with context.store.write() as tx:
        for run in ("r-1", "r-2", "r-3"):
            desk.start(tx, ACME, run, agent="analyst", user="ada")
            desk.call_tool(tx, ACME, run, ToolCall(tool="run_query", outcome="success", duration_ms=9))
            for key in ("1", "1", "2"):
                desk.use_tokens(tx, ACME, run, used, key=key)
        desk.complete(tx, ACME, "r-1")
        desk.fail(tx, ACME, "r-2", error_code="model_unavailable", message="no answer")


def models_are_released(context: Context) -> None:
    with changing(context, ACME, actor="ana") as work:
        for model in ("churn", "fraud"):
            registering.register(work, model)
        for number in (1, 2, 3):
            registering.create_version(work, "churn", source_uri=f"s3://churn/{number}")
        serving.change_stage(work, "churn", 1, "development")
        serving.change_stage(work, "churn", 1, "staging")
        naming.set_alias(work, "churn", "champion", 2)
        naming.set_alias(work, "churn", "champion", 1)
        naming.set_alias(work, "churn", "shadow", 2)
        naming.remove_alias(work, "churn", "shadow")
        registering.delete_version(work, "churn", 3)
        registering.delete_model(work, "fraud")


def pipelines_run(context: Context) -> None:
    desk = RunDesk.of(context)
    with context.store.write() as tx:
        for run in ("r-1", "r-2", "r-3"):
            desk.start(tx, ACME, job="dbt.orders", namespace="warehouse", run_id=run)
            desk.progress(tx, ACME, run, percent=40)
        desk.fail(tx, ACME, "r-1", error_code="no_space", message="the disk is full")
        desk.start(tx, ACME, job="dbt.orders", namespace="warehouse", run_id="r-1")
        desk.complete(tx, ACME, "r-1", rows_written=9)
        desk.abort(tx, ACME, "r-2", actor="ada")


def queries_run(context: Context) -> None:
    with closing(Databases(context.data_dir, memory_mb=128, data_set=lambda _: "empty")) as databases:
        bench = EngineBench(context.store, databases)
        bench.activate(policy("access", "urn:table:hr.salary", "forbid (principal, action, resource);"))
        with closing(bench):
            bench.run("SELECT 1")
            for refused in ("SELECT * FROM hr.salary", "SELECT * FROM nowhere"):
                with pytest.raises(TrunklineError):
                    bench.run(refused)


LIVES: Final[dict[str, Callable[[Context], None]]] = {
    "ai-service": agents_run,
    "iam-service": people_come_and_go,
    "ml-service": models_are_released,
    "pipeline-service": pipelines_run,
    "query-engine": queries_run,
    "tenant-service": tenants_live,
}
CHANGES: Final[dict[str, tuple[str, Update]]] = {
    "every run of an agent": ("ai-service", update(ai.RUN).values(tool_calls=ai.RUN.c.tool_calls + 1)),
    "the tokens of every language model": ("ai-service", update(ai.STEP).values(cached_input_tokens=1)),
    "the end of a run tells": (
        "ai-service",
        update(ai.RUN).where(ai.RUN.c.state == "completed").values(output_tokens=1),
    ),
    "exactly the permissions": ("iam-service", update(iam.PERMISSION).values(expires_us=1)),
    "exactly the roles": ("iam-service", update(iam.ROLE).values(role="admin")),
    "exactly the API keys": ("iam-service", update(iam.API_KEY).values(revoked_us=None)),
    "every login is counted": ("iam-service", update(iam.ACCOUNT).values(logins=7)),
    "every request of a person": ("iam-service", update(iam.ERASURE_REQUEST).values(records_erased=None)),
    "every receipt of an erasure": ("iam-service", update(iam.RECEIPT).values(rows='{"a":3}')),
    "the registry has the models": ("ml-service", update(ml.MODEL).values(last_version=4)),
    "every version in the registry": ("ml-service", update(ml.VERSION).values(stage="production")),
    "every alias in the registry": ("ml-service", update(ml.ALIAS).values(version=2)),
    "every run of a pipeline": ("pipeline-service", update(pipeline.PIPELINE_RUN).values(attempt=3)),
    "every step of a run": (
        "pipeline-service",
        update(pipeline.PIPELINE_STEP).values(number=pipeline.PIPELINE_STEP.c.number + 100),
    ),
    "every query has ended": (
        "query-engine",
        update(query.QUERY_LOG).where(query.QUERY_LOG.c.state == "failed").values(state="running"),
    ),
    "every query that ended well": ("query-engine", update(query.QUERY_LOG).values(bytes_scanned=1)),
    "every denied query": ("query-engine", update(query.QUERY_LOG).values(asset="urn:table:main.nowhere")),
    "every tenant has the state": ("tenant-service", update(tenant.TENANT).values(tier="free")),
    "every change of a tenant": ("tenant-service", update(tenant.TENANT_CHANGE).values(event_id="another")),
}
"""By how a claim begins, a figure of the service that it judges, changed."""


@pytest.fixture
def office(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Context]:
    """A service that has lived."""
    with office_of(request.param, f"sqlite:///{tmp_path / 's.db'}", tmp_path) as context:
        LIVES[request.param](context)
        yield context


def log_of(context: Context, *, ended: str = GONE) -> list[Record]:
    """What the service has published, and that a tenant was deleted."""
    events = [event for name in (ACME, GLOBEX, GONE, SYSTEM_TENANT) for event in told(context.store, name)]
    if context.service != "tenant-service":
        events.append(deleted(ended))
    return [record for batch in batches(events, random.Random(0)) for record in batch.records]


def deleted(name: str) -> Envelope[Event]:
    event = TenantDeleted(name=name, actor_id="ops")
    return new_envelope(
        event, tenant=TenantId(name), source="/tenant-service", time=BEGIN, id=END.deletion_id
    )


def judged(service: str, store: Store, records: list[Record]) -> list[Claim]:
    oracle: Any = importlib.import_module(f"trunkline.testing.oracles.{ORACLES[service]}")
    with event_log(records) as log:
        found: list[Claim] = oracle.claims(log, store)
    return found


@pytest.mark.parametrize("office", LIVES, indirect=True)
def test_the_books_balance_and_every_claim_is_about_something(office: Context) -> None:
    claims = judged(office.service, office.store, log_of(office))
    assert [claim for claim in claims if not claim.holds] == []
    assert [claim.name for claim in claims if claim.detail.startswith("0 expected")] == []
    assert all(sum(claim.name.startswith(begin) for begin in begins(office.service)) == 1 for claim in claims)


def begins(service: str) -> list[str]:
    """How the claims about a service begin, with the one that no figure of its own is behind."""
    return [*(begin for begin, (of, _) in CHANGES.items() if of == service), "every service has answered"]


@pytest.mark.parametrize(
    ("office", "begin", "change"),
    [(of, begin, change) for begin, (of, change) in CHANGES.items()],
    indirect=["office"],
    ids=list(CHANGES),
)
def test_a_changed_figure_is_found(office: Context, begin: str, change: Update) -> None:
    records = log_of(office)
    with office.store.write() as tx:
        tx.execute(change)
    broken = [claim.name for claim in judged(office.service, office.store, records) if not claim.holds]
    assert any(name.startswith(begin) for name in broken), broken


@pytest.mark.parametrize("office", LIVES, indirect=True)
def test_an_event_that_is_missing_in_the_log_is_found(office: Context) -> None:
    last = told(office.store, SYSTEM_TENANT if office.service == "iam-service" else ACME)[-1]
    records = [record for record in log_of(office) if ("ce_id", last.id.encode()) not in record.headers]
    assert any(not claim.holds for claim in judged(office.service, office.store, records))


@pytest.mark.parametrize("office", ["iam-service"], indirect=True)
def test_a_service_that_has_not_answered_an_end_is_named(office: Context) -> None:
    records = [record for record in log_of(office) if b'"service":"ml-service"' not in (record.value or b"")]
    claims = judged("iam-service", office.store, records)
    (answers,) = (claim for claim in claims if claim.name.startswith("every service has answered"))
    assert (answers.holds, len(answers.examples), "ml-service" in answers.examples[0]) == (False, 1, True)


@pytest.mark.parametrize("office", sorted(LIVES.keys() - {"tenant-service"}), indirect=True)
def test_what_is_left_of_an_ended_tenant_is_found(office: Context) -> None:
    claims = judged(office.service, office.store, log_of(office, ended=ACME))
    of_tenants = [claim for claim in claims if "0 expected" in claim.detail]
    assert of_tenants
    assert not any(claim.holds for claim in of_tenants)
