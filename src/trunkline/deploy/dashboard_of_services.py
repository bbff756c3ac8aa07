"""The dashboard of the platform's services: what they consume and publish, what fails, what waits."""

from trunkline.catalogue.cluster import Cluster
from trunkline.catalogue.model import Catalogue, Environment
from trunkline.deploy.alerts_of_services import OUTBOX_SECONDS_MAX
from trunkline.deploy.panel import Choice, Dashboard, Panel, Query, Row, Unit, dashboard_uid
from trunkline.deploy.scope import APP, Scope

THESE = f'{APP}=~"$service"'


def services(catalogue: Catalogue, environment: Environment, cluster: Cluster) -> Dashboard:
    """How the services of an environment are, all or those that are chosen."""
    scope = Scope(cluster)
    return Dashboard(
        uid=dashboard_uid(cluster.name, environment.name, "services"),
        title=f"Trunkline {environment.name}: services",
        choices=[Choice("service", sorted(catalogue.services))],
        rows=[
            _consuming(scope),
            _failing(scope),
            _publishing(scope),
            _outbox(scope),
            _configuration(scope),
            _answering(scope),
            _running(scope),
        ],
    )


def _each(title: str, expr: str, unit: Unit, *, legend: str = APP, limit: float | None = None) -> Panel:
    """A line for each value of the labels in `legend`."""
    names = " ".join(f"{{{{{label}}}}}" for label in legend.split(", "))
    return Panel(title=title, queries=[Query(expr, names)], unit=unit, limit=limit)


def _rate(scope: Scope, counter: str, by: str) -> str:
    return f"sum by ({by}) (rate({scope.services(counter, THESE)}[5m]))"


def _quantile(scope: Scope, share: float, histogram: str) -> str:
    buckets = scope.services(f"{histogram}_bucket", THESE)
    return f"histogram_quantile({share}, sum by (le, {APP}) (rate({buckets}[5m])))"


def _consuming(scope: Scope) -> Row:
    seconds = "trunkline_consumer_batch_seconds"
    return Row(
        "Consuming",
        [
            _each(
                "Events",
                _rate(scope, "trunkline_consumer_events_total", f"{APP}, topic"),
                Unit.COUNT_A_SECOND,
                legend=f"{APP}, topic",
            ),
            _each(
                "Batches",
                _rate(scope, "trunkline_consumer_batches_total", APP),
                Unit.COUNT_A_SECOND,
            ),
            Panel(
                title="Duration of a batch",
                text="One transaction, from its begin to its commit.",
                queries=[
                    Query(_quantile(scope, 0.5, seconds), f"{{{{{APP}}}}} median"),
                    Query(_quantile(scope, 0.99, seconds), f"{{{{{APP}}}}} 99 %"),
                ],
                unit=Unit.SECONDS,
            ),
        ],
    )


def _failing(scope: Scope) -> Row:
    failures = scope.services("trunkline_consumer_failures_total", THESE)
    breaker = scope.services("trunkline_consumer_breaker_open", THESE)
    paused = scope.services("trunkline_consumer_paused_partitions", THESE)
    ended = scope.services("trunkline_ended_tenants", THESE, 'stage!="answered"')
    return Row(
        "Failing and waiting",
        [
            _each(
                "Into the failure ledger, in an hour",
                f"sum by ({APP}, topic, reason) (increase({failures}[1h]))",
                Unit.COUNT,
                legend=f"{APP}, topic, reason",
            ),
            _each(
                "Breaker open",
                f"max by ({APP}) (max_over_time({breaker}[15m]))",
                Unit.COUNT,
                limit=1,
            ),
            _each("Partitions that wait for store or network", f"sum by ({APP}) ({paused})", Unit.COUNT),
            _each(
                "Duplicates",
                _rate(scope, "trunkline_consumer_duplicates_total", f"{APP}, topic"),
                Unit.COUNT_A_SECOND,
                legend=f"{APP}, topic",
            ),
            _each(
                "Commits that Kafka did not take",
                _rate(scope, "trunkline_consumer_commit_failures_total", f"{APP}, reason"),
                Unit.COUNT_A_SECOND,
                legend=f"{APP}, reason",
            ),
            _each(
                "Ended tenants without a receipt",
                f"max by ({APP}, stage) ({ended})",
                Unit.COUNT,
                legend=f"{APP}, stage",
            ),
        ],
    )


def _publishing(scope: Scope) -> Row:
    waiting = scope.services("trunkline_publisher_waiting_events", THESE)
    return Row(
        "Publishing",
        [
            _each(
                "Events by outcome",
                _rate(scope, "trunkline_publisher_events_total", f"{APP}, topic, outcome"),
                Unit.COUNT_A_SECOND,
                legend=f"{APP}, topic, outcome",
            ),
            _each(
                "From publishing until it is in the log, 99 %",
                _quantile(scope, 0.99, "trunkline_publisher_acknowledgement_seconds"),
                Unit.SECONDS,
            ),
            _each("Without an outcome yet", f"sum by ({APP}) ({waiting})", Unit.COUNT),
        ],
    )


def _outbox(scope: Scope) -> Row:
    pending = scope.services("trunkline_outbox_pending_events", THESE)
    oldest = scope.services("trunkline_outbox_oldest_age_seconds", THESE)
    stuck = scope.services("trunkline_outbox_stuck_tenants", THESE)
    return Row(
        "Outbox",
        [
            _each("Events that wait", f"max by ({APP}) ({pending})", Unit.COUNT),
            _each(
                "Age of the oldest",
                f"max by ({APP}) ({oldest})",
                Unit.SECONDS,
                limit=OUTBOX_SECONDS_MAX,
            ),
            _each("Tenants behind a refused event", f"max by ({APP}) ({stuck})", Unit.COUNT, limit=1),
        ],
    )


def _configuration(scope: Scope) -> Row:
    stale = scope.services("trunkline_broadcast_stale", THESE)
    unconfirmed = scope.services("trunkline_broadcast_unconfirmed_seconds", THESE)
    return Row(
        "Configuration",
        [
            _each(
                "Instances that do not know whether it is current", f"sum by ({APP}) ({stale})", Unit.COUNT
            ),
            _each("Since it was last known to be", f"max by ({APP}) ({unconfirmed})", Unit.SECONDS),
            _each(
                "Records that could not be applied",
                _rate(scope, "trunkline_broadcast_rejected_total", f"{APP}, reason"),
                Unit.COUNT_A_SECOND,
                legend=f"{APP}, reason",
            ),
        ],
    )


def _answering(scope: Scope) -> Row:
    seconds = "trunkline_api_request_seconds"
    failed = scope.services(f"{seconds}_count", THESE, 'status=~"5.."')
    return Row(
        "HTTP API",
        [
            _each(
                "Requests by status",
                _rate(scope, f"{seconds}_count", f"{APP}, status"),
                Unit.COUNT_A_SECOND,
                legend=f"{APP}, status",
            ),
            _each("Until the whole answer, 99 %", _quantile(scope, 0.99, seconds), Unit.SECONDS),
            _each(
                "Failed, in an hour, by route",
                f"sum by ({APP}, route) (increase({failed}[1h]))",
                Unit.COUNT,
                legend=f"{APP}, route",
            ),
        ],
    )


def _running(scope: Scope) -> Row:
    unready = scope.services("kube_deployment_status_replicas_unavailable", 'deployment=~"$service"')
    restarts = scope.services("kube_pod_container_status_restarts_total", 'pod=~"($service)-.+"')
    return Row(
        "Running",
        [
            _each(
                "Pods that give their metrics", f"sum by ({APP}) ({scope.services('up', THESE)})", Unit.COUNT
            ),
            _each(
                "Pods that are not ready",
                f"max by (deployment) ({unready})",
                Unit.COUNT,
                legend="deployment",
            ),
            _each(
                "Restarts in an hour", f"sum by (pod) (increase({restarts}[1h]))", Unit.COUNT, legend="pod"
            ),
            _each(
                "Deciding on a query, 99 %",
                _quantile(scope, 0.99, "trunkline_query_plan_seconds"),
                Unit.SECONDS,
            ),
        ],
    )
