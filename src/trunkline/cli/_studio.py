"""An ordinary day of the tenant `studio`: models, pipelines, agents and access, through the services' APIs.

Every state machine takes more than one way here, so that the claims about its books are about something.
"""

from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

from trunkline.cli._desks import Desks, done

STUDIO: Final = "studio"
MODEL: Final = "churn"
ALIAS: Final = "champion"


def release_models(desks: Desks) -> None:
    """Two versions of a model; the second goes into production, with the word of a second person."""
    version = f"/models/{MODEL}/versions/2"
    with desks.of("ml-service", STUDIO, "models:write") as ml:
        done(ml.post("/models", json={"model": MODEL}))
        for number in (1, 2):
            trained = {"source_uri": f"s3://models/{MODEL}/{number}", "trained_on": ["tpch.customer"]}
            done(ml.post(f"/models/{MODEL}/versions", json=trained))
            done(ml.put(f"/models/{MODEL}/aliases/{ALIAS}", json={"version": number}))
        for stage in ("development", "staging", "production"):
            done(ml.post(f"{version}/stage", json={"stage": stage}))
    with desks.of("ml-service", STUDIO, "models:write", subject="grace") as second_person:
        done(second_person.post(f"{version}/approval"))


def run_pipelines(desks: Desks) -> None:
    """One run ends well, one at the second attempt, and one is stopped."""
    well, again, stopped = (f"run-{uuid4().hex[:8]}" for _ in range(3))
    with desks.of("pipeline-service", STUDIO, "pipelines:write") as pipelines:

        def start(run: str) -> None:
            begun = {"run_id": run, "job": "load.customer", "namespace": "warehouse"}
            done(pipelines.post("/runs", json=begun))

        def step(run: str, what: str, **said: Any) -> None:
            done(pipelines.post(f"/runs/{run}/{what}", json=said))

        for run in (well, again, stopped):
            start(run)
        step(well, "progress", percent=40)
        step(well, "complete", rows_written=150)
        step(again, "fail", error_code="source_unreachable", message="connection refused")
        start(again)
        step(again, "complete", rows_written=150)
        step(stopped, "abort", reason="wrong parameters")


def run_agents(desks: Desks) -> None:
    """One run answers, one does not; what is sent again under its key is not counted again."""
    used = {"provider": "in_house", "model": "analyst-70b", "input_tokens": 310, "output_tokens": 42}
    failed = {"error_code": "model_unavailable", "message": "the model did not answer"}
    with desks.of("ai-service", STUDIO, "agents:write") as agents:
        for end, why in (("complete", None), ("fail", failed)):
            run = f"run-{uuid4().hex[:8]}"
            done(agents.post("/runs", json={"run_id": run, "agent_id": "analyst", "user_id": "ada"}))
            called = {"tool": "run_query", "outcome": "success", "duration_ms": 140}
            done(agents.post(f"/runs/{run}/tools", json=called))
            for key in ("1", "1", "2"):
                done(agents.post(f"/runs/{run}/tokens", json={**used, "key": key}))
            done(agents.post(f"/runs/{run}/{end}", json=why))


def give_access(desks: Desks) -> None:
    """Somebody logs in, and permissions, roles and keys come and go."""
    with desks.of("iam-service", STUDIO, "iam:admin") as iam:
        for verified in (False, True):
            done(iam.post("/logins", json={"user_id": "ada", "method": "sso", "verified": verified}))
        for resource in ("urn:schema:tpch", "urn:schema:hr"):
            permission = {"grantee_id": "ada", "permission": "query.execute", "resource": resource}
            done(iam.post("/permissions/grant", json=permission))
        done(iam.post("/permissions/revoke", json={**permission, "reason": "left the team"}))
        done(iam.post("/roles", json={"user_id": "ada", "role": "analyst"}))
        keys = [done(iam.post("/api-keys", json={"name": name})) for name in ("nightly", "old")]
        done(iam.delete(f"/api-keys/{keys[1]['key_id']}"))
        done(iam.post("/erasure-requests", json={"subject_id": "c-881"}))


def failed_check(table: str) -> dict[str, Any]:
    """An OpenLineage run event of a run whose check of a table did not hold."""
    schema, _, name = table.partition(".")
    failed = {"assertion": "not_null", "column": f"{name}_id", "success": False, "severity": "error"}
    return {
        "eventType": "COMPLETE",
        "eventTime": datetime.now(UTC).isoformat(),
        "run": {"runId": str(uuid4())},
        "job": {"namespace": "demo", "name": f"check.{name}"},
        "inputs": [
            {
                "namespace": "duckdb://studio",
                "name": f"studio.{schema}.{name}",
                "inputFacets": {
                    "dataQualityAssertions": {
                        "_producer": "https://trunkline.example/demo",
                        "_schemaURL": "https://openlineage.io/spec/facets/1-0-0/DataQualityAssertionsDatasetFacet.json",
                        "assertions": [failed],
                    }
                },
            }
        ],
        "outputs": [],
        "producer": "https://trunkline.example/demo",
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
    }
