"""What people do with the services while the demo runs, through their HTTP APIs, and what must come of it.

One tenant, `studio`, signs up, is governed, runs queries, pipelines, agents and models; a table of it fails
its checks and is quarantined. Another one, `leaver`, is deleted, and every service has to answer.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from trunkline.testing.checker import Claim

if TYPE_CHECKING:
    import httpx
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

STUDIO: Final = "studio"
LEAVER: Final = "leaver"
QUERIES_MAX: Final = 2
"""What the studio may run in a month; it runs more, and is told so."""

FILTERED: Final = "BUILDING"
WAIT_SECONDS: Final = 30.0
POLL_SECONDS: Final = 0.1
TOKEN_HOURS: Final = 2

_COUNT: Final = "SELECT count(*) FROM customer"
_COUNT_FILTERED: Final = f"{_COUNT} WHERE c_mktsegment = '{FILTERED}'"
_ORDERS: Final = "SELECT count(*) FROM orders"

Wait = Callable[[Callable[[], bool]], bool]


@dataclass(frozen=True, slots=True)
class Desks:
    """The services' APIs: where they are, and the key that signs tokens for them."""

    ports: Mapping[str, int]
    key: "Ed25519PrivateKey"

    def of(self, service: str, tenant: str, *scopes: str, subject: str = "ada") -> "httpx.Client":
        """A client that calls a service as somebody of a tenant."""
        import httpx

        from trunkline.services.kit.api.tokens import issue

        token = issue(
            self.key,
            tenant=tenant,
            subject=subject,
            scopes=scopes,
            now=datetime.now(UTC),
            lifetime=timedelta(hours=TOKEN_HOURS),
        )
        return httpx.Client(
            base_url=f"http://127.0.0.1:{self.ports[service]}/v1",
            headers={"authorization": f"Bearer {token}"},
            timeout=WAIT_SECONDS,
        )


class People:
    """Call `arrive` first, `work` while events flow, `leave` before the books are balanced."""

    def __init__(self, desks: Desks, *, wait: Wait) -> None:
        """`wait` waits for a condition within a bound, and returns whether it came to hold."""
        self._desks = desks
        self._wait = wait
        self._claims: list[Claim] = []

    @property
    def claims(self) -> tuple[Claim, ...]:
        """What has come of it so far."""
        return tuple(self._claims)

    def arrive(self) -> None:
        """Two tenants sign up; something is configured for everybody and for one of them."""
        with self._desks.of("tenant-service", "system", "operator") as tenants:
            for tenant in (STUDIO, LEAVER):
                sign_up = {"tenant": tenant, "tier": "professional", "region": "eu-west-1"}
                _done(tenants.post("/tenants", json=sign_up))
                _done(tenants.post(f"/tenants/{tenant}/activate", json={}))
        with self._desks.of("config-service", "system", "operator") as config:
            _done(config.put("/values", json={"key": "session.idle_ms", "value": 900_000}))
            _done(
                config.put(
                    "/flags", json={"key": "ui.new_editor", "enabled": True, "rollout_percent": 25}
                )
            )
            mine = {"key": "session.idle_ms", "level": "tenant", "scope": STUDIO, "value": 60_000}
            _done(config.put("/values", json=mine))
            quota = {"key": "billing.quotas.query_executions", "level": "tenant", "scope": STUDIO}
            _done(config.put("/values", json={**quota, "value": {"limit": QUERIES_MAX}}))

    def work(self) -> None:
        """A day in the studio."""
        self._models_and_runs()
        self._rows_are_filtered()
        self._bad_data_is_quarantined()
        self._settings_have_arrived()

    def leave(self) -> None:
        """A tenant is deleted, and every service says what it has erased."""
        with self._desks.of("tenant-service", "system", "operator") as tenants:
            _done(tenants.post(f"/tenants/{LEAVER}/schedule-deletion", json={}))
            _done(tenants.post(f"/tenants/{LEAVER}/delete", json={"now": True}))
        missing: list[str] = []

        def answered() -> bool:
            with self._desks.of("iam-service", "system", "operator") as iam:
                found = [one for one in _done(iam.get("/deletions"))["items"] if one["tenant"] == LEAVER]
            missing[:] = found[0]["missing"] if found else ["the end itself"]
            return not missing

        held = self._wait(answered)
        detail = f"all {len(self._desks.ports)} services" if held else f"missing: {', '.join(missing)}"
        self._claim("every service answers the end of a tenant with a receipt", detail, holds=held)

    def _models_and_runs(self) -> None:
        with self._desks.of("ml-service", STUDIO) as ml:
            _done(ml.post("/models", json={"model": "churn"}))
            version = {"source_uri": "s3://models/churn/1", "trained_on": ["urn:table:tpch.customer"]}
            _done(ml.post("/models/churn/versions", json=version))
            _done(ml.put("/models/churn/aliases/champion", json={"version": 1}))
        run = f"run-{uuid4().hex[:8]}"
        with self._desks.of("pipeline-service", STUDIO) as pipelines:
            begun = {"run_id": run, "job": "load.customer", "namespace": "warehouse"}
            _done(pipelines.post("/runs", json=begun))
            _done(pipelines.post(f"/runs/{run}/complete", json={"rows_written": 150}))
        with self._desks.of("ai-service", STUDIO, "agents:write") as agents:
            _done(agents.post("/runs", json={"run_id": run, "agent_id": "analyst", "user_id": "ada"}))
            used = {"provider": "in_house", "model": "analyst-70b", "input_tokens": 310, "output_tokens": 42}
            _done(agents.post(f"/runs/{run}/tokens", json={**used, "key": "1"}))
            _done(agents.post(f"/runs/{run}/complete"))
        with self._desks.of("iam-service", STUDIO, "iam:admin") as iam:
            _done(iam.post("/logins", json={"user_id": "ada", "method": "sso", "verified": True}))
        model = "/models/churn@champion"
        held = self._wait(lambda: self._known("catalog-service", model))
        self._claim("a model is in the catalog under its alias", "models/churn@champion", holds=held)

    def _rows_are_filtered(self) -> None:
        with self._desks.of("query-engine", STUDIO) as engine:
            whole, part = self._number(engine, _COUNT), self._number(engine, _COUNT_FILTERED)
            policy = {
                "policy_id": "p-segment",
                "kind": "row_filter",
                "scope": "urn:table:tpch.customer",
                "body": f"c_mktsegment = '{FILTERED}'",
            }
            with self._desks.of("governance-service", STUDIO, "policy:write") as governance:
                revision = _done(governance.post("/policies", json={"policies": [policy]}))
            held = self._wait(lambda: self._number(engine, _COUNT) == part)
            seen = self._number(engine, _COUNT)
        detail = f"{seen:,} of {whole:,} rows, revision {revision['revision']}"
        self._claim("a row filter shows what it lets through", detail, holds=held and 0 < part < whole)

    def _bad_data_is_quarantined(self) -> None:
        with self._desks.of("data-quality-service", STUDIO) as quality:
            for _ in range(2):
                _done(quality.post("/lineage", json=failed_check("tpch.orders")))
        refused: list[str] = []

        def denied() -> bool:
            with self._desks.of("query-engine", STUDIO) as engine:
                answer = engine.post("/queries", json={"sql": _ORDERS})
            refused[:] = [answer.json()["detail"]] if answer.status_code == 403 else []
            return bool(refused)

        held = self._wait(denied)
        detail = refused[0] if refused else "the query was not denied"
        self._claim(
            "a table that fails its checks is quarantined, and a denied query names the revision",
            detail,
            holds=held and "revision" in detail,
        )

    def _settings_have_arrived(self) -> None:
        standing: dict[str, int] = {}

        def converged() -> bool:
            with self._desks.of("config-service", "system", "operator") as config:
                found = _done(config.get("/instances"))
            alive = [one for one in found if one["standing"] != "gone"]
            standing.update(instances=len(alive), digests=len({one["digest"] for one in alive}))
            return {one["service"] for one in alive} >= set(self._desks.ports) and standing["digests"] == 1

        held = self._wait(converged)
        detail = f"{standing.get('instances', 0)} instances, digests: {standing.get('digests', 0)}"
        self._claim("every instance of every service has the same configuration", detail, holds=held)

    def _known(self, service: str, path: str) -> bool:
        with self._desks.of(service, STUDIO) as client:
            return client.get(path).status_code == 200

    def _number(self, engine: "httpx.Client", sql: str) -> int:
        answer = engine.post("/queries", json={"sql": sql})
        if answer.status_code == 503:
            # The engine does not answer for a tenant before it has read all policies.
            return -1
        return int(_done(answer)["rows"][0][0])

    def _claim(self, name: str, detail: str, *, holds: bool) -> None:
        self._claims.append(Claim(name=name, holds=holds, detail=detail))


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


def _done(answer: "httpx.Response") -> Any:
    """What a service answered. Raises with the reason where it refused."""
    if answer.is_error:
        from trunkline.errors import TrunklineError

        raise TrunklineError(f"{answer.request.method} {answer.request.url}: {answer.text}")
    return answer.json() if answer.content else None


def waiting(watch: Callable[[], None], *, seconds: float = WAIT_SECONDS) -> Wait:
    """Waits for a condition, and meanwhile looks after the processes."""

    def wait(until: Callable[[], bool]) -> bool:
        deadline = time.monotonic() + seconds
        while not until():
            if time.monotonic() > deadline:
                return False
            watch()
            time.sleep(POLL_SECONDS)
        return True

    return wait
