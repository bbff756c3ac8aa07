"""What people do with the services while the demo runs, through their HTTP APIs, and what must come of it.

One tenant, `studio`, signs up, is governed, runs queries, pipelines, agents and models; a table of it fails
its checks and is quarantined, and it is told so. Another one, `leaver`, is deleted, and every service has to
answer.
"""

from typing import TYPE_CHECKING, Any, Final

from trunkline.cli._desks import Desks, Wait, done
from trunkline.cli._studio import (
    ALIAS,
    MODEL,
    STUDIO,
    failed_check,
    give_access,
    release_models,
    run_agents,
    run_pipelines,
)
from trunkline.testing.checker import Claim

if TYPE_CHECKING:
    import httpx

LEAVER: Final = "leaver"
QUERIES_MAX: Final = 2
"""What the studio may run in a month; it runs more, and is told so."""

LEVELS_TOLD: Final = {"80", "100", "120"}
"""The thresholds, in percent, that are told of as everything is configured: those from 80 on."""

FILTERED: Final = "BUILDING"
CHECKED: Final = "tpch.orders"
RULE: Final = "quality-check-failed"
TOLD_AT_ONCE: Final[dict[str, Any]] = {
    "title": "A quality check failed",
    "when": {"types": ["quality.check_failed.v1"]},
    "resolved_by": {"types": ["quality.check_passed.v1"]},
    "key": "{{ data.check_id }}",
    "severity_from": "severity",
    "category": "quality",
    "group_by": "{{ data.asset }}",
}
"""The studio's own rule: without the seconds that everybody's waits for more failures of the same table."""

_COUNT: Final = "SELECT count(*) FROM customer"
_COUNT_FILTERED: Final = f"{_COUNT} WHERE c_mktsegment = '{FILTERED}'"
_ORDERS: Final = "SELECT count(*) FROM orders"


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
                done(tenants.post("/tenants", json=sign_up))
                done(tenants.post(f"/tenants/{tenant}/activate", json={}))
        with self._desks.of("config-service", "system", "operator") as config:
            done(config.put("/values", json={"key": "session.idle_ms", "value": 900_000}))
            done(config.put("/flags", json={"key": "ui.new_editor", "enabled": True, "rollout_percent": 25}))
            mine = {"key": "session.idle_ms", "level": "tenant", "scope": STUDIO, "value": 60_000}
            done(config.put("/values", json=mine))
            quota = {"key": "billing.quotas.query_executions", "level": "tenant", "scope": STUDIO}
            done(config.put("/values", json={**quota, "value": {"limit": QUERIES_MAX}}))
            rule = {
                "key": f"notification.rules.{RULE}",
                "level": "tenant",
                "scope": STUDIO,
                "value": TOLD_AT_ONCE,
            }
            done(config.put("/values", json=rule))

    def work(self) -> None:
        """A day in the studio."""
        self._ordinary_day()
        # From here on things follow from what was configured: the rule by which the studio is told.
        self._settings_have_arrived()
        self._rows_are_filtered()
        self._bad_data_is_quarantined()
        self._failed_check_is_told()
        self._usage_is_told()

    def leave(self) -> None:
        """A tenant is deleted, and every service says what it has erased."""
        with self._desks.of("tenant-service", "system", "operator") as tenants:
            done(tenants.post(f"/tenants/{LEAVER}/schedule-deletion", json={}))
            done(tenants.post(f"/tenants/{LEAVER}/delete", json={"now": True}))
        missing: list[str] = []

        def answered() -> bool:
            with self._desks.of("iam-service", "system", "operator") as iam:
                found = [one for one in done(iam.get("/deletions"))["items"] if one["tenant"] == LEAVER]
            missing[:] = found[0]["missing"] if found else ["the end itself"]
            return not missing

        held = self._wait(answered)
        detail = f"all {len(self._desks.ports)} services" if held else f"missing: {', '.join(missing)}"
        self._claim("every service answers the end of a tenant with a receipt", detail, holds=held)

    def _ordinary_day(self) -> None:
        for part in (release_models, run_pipelines, run_agents, give_access):
            part(self._desks)
        held = self._wait(lambda: self._known("catalog-service", f"/models/{MODEL}@{ALIAS}"))
        self._claim("a model is in the catalog under its alias", f"models/{MODEL}@{ALIAS}", holds=held)

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
                revision = done(governance.post("/policies", json={"policies": [policy]}))
            held = self._wait(lambda: self._number(engine, _COUNT) == part)
            seen = self._number(engine, _COUNT)
        detail = f"{seen:,} of {whole:,} rows, revision {revision['revision']}"
        self._claim("a row filter shows what it lets through", detail, holds=held and 0 < part < whole)

    def _bad_data_is_quarantined(self) -> None:
        with self._desks.of("data-quality-service", STUDIO, "quality:write") as quality:
            for _ in range(2):
                done(quality.post("/lineage", json=failed_check("tpch.orders")))
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

    def _failed_check_is_told(self) -> None:
        """The event that governance has decided by is looked up where people are told of events."""
        with self._desks.of("governance-service", STUDIO) as governance:
            decisions = done(governance.get("/decisions", params={"asset": f"urn:table:{CHECKED}"}))["items"]
        cause = decisions[-1]["cause_id"] if decisions else "none"
        said: list[str] = []

        def told() -> bool:
            with self._desks.of("notification-service", STUDIO) as notification:
                answer = notification.get(f"/events/{cause}/explanation")
                inbox = {one["notification"]: one for one in done(notification.get("/inbox"))["items"]}
            rules = [] if answer.is_error else answer.json()["decisions"]
            said[:] = [
                f"{inbox[one['notification']['id']]['subject']} ({one['rule']}: {one['why']})"
                for one in rules
                if one["rule"] == RULE and one["notification"] and one["notification"]["id"] in inbox
            ]
            return bool(said)

        held = self._wait(told)
        detail = said[0] if said else f"event {cause} is not in the inbox"
        self._claim(
            "the failed check that led to a quarantine is in the inbox, and it is said why",
            detail,
            holds=held,
        )

    def _usage_is_told(self) -> None:
        """Thresholds from 80 % on are told of, each once; the quota itself, too."""
        found: list[str] = []

        def told() -> bool:
            with self._desks.of("notification-service", STUDIO) as notification:
                incidents = done(notification.get("/incidents"))["items"]
            levels = [
                one["key"] for one in incidents if one["rule"] == "usage-threshold" and one["count"] == 1
            ]
            exceeded = [one["key"] for one in incidents if one["rule"] == "quota-exceeded"]
            found[:] = sorted(levels) + exceeded
            return {level.rpartition("/")[2] for level in levels} == LEVELS_TOLD and len(exceeded) == 1

        held = self._wait(told)
        name = "every threshold of a quota is told of once, and that it is exceeded"
        self._claim(name, ", ".join(found), holds=held)

    def _settings_have_arrived(self) -> None:
        standing: dict[str, int] = {}

        def converged() -> bool:
            with self._desks.of("config-service", "system", "operator") as config:
                found = done(config.get("/instances"))
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
        return int(done(answer)["rows"][0][0])

    def _claim(self, name: str, detail: str, *, holds: bool) -> None:
        self._claims.append(Claim(name=name, holds=holds, detail=detail))
