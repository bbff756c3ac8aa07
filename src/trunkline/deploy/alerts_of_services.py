"""What is watched of the platform's services: lag, failures, what waits, and whether they run at all."""

from collections.abc import Iterator
from typing import Final

from trunkline.catalogue.cluster import Authentication, Cluster
from trunkline.catalogue.model import Catalogue, Environment
from trunkline.deploy.alert import Alert, Severity, grew
from trunkline.deploy.alerts_of_kafka import CERTIFICATE_DAYS_MIN, DAY_SECONDS
from trunkline.deploy.scope import APP, Scope
from trunkline.deploy.service_needs import runnable

LAG_RECORDS_MAX: Final = 10_000
"""The contract's: of a group in a topic, for 15 minutes."""

LAG_SECONDS_MAX: Final = 300
"""Ten thousand records are a second for one topic and a day for another; five minutes are five minutes."""

RETENTION_PARTS: Final = 2
"""A group that is behind by half of the retention begins to run out of time."""

OUTBOX_SECONDS_MAX: Final = 60
"""A relay publishes within a second; a minute means that it does not."""

THIS: Final = f"{{{{ $labels.{APP} }}}}"


def service_alerts(catalogue: Catalogue, environment: Environment, cluster: Cluster) -> Iterator[Alert]:
    """The alerts on the services, and on the exporter that tells how far behind they are."""
    scope = Scope(cluster)
    yield from _lag(scope, environment)
    yield from _exporter(scope)
    yield from _failures(scope)
    yield from _publishing(scope)
    yield from _configuration(scope)
    yield from _running(scope, catalogue)
    if cluster.authentication is Authentication.TLS:
        yield _certificates(scope)
    yield from _ended_tenants(scope)


def _lag(scope: Scope, environment: Environment) -> Iterator[Alert]:
    records = scope.exporter("kafka_consumergroup_lag_sum")
    oldest = scope.exporter("kafka_consumergroup_group_max_lag_seconds")
    ages = scope.exporter("kafka_consumergroup_group_lag_seconds")
    half_of_retention = environment.retention_ms // 1000 // RETENTION_PARTS
    yield Alert(
        name="ConsumerLag",
        expr=f"max by (consumergroup, topic) ({records}) > {LAG_RECORDS_MAX}",
        lasting="15m",
        severity=Severity.WARNING,
        summary='{{ $labels.consumergroup }} is {{ $value | printf "%.0f" }} records behind in '
        "{{ $labels.topic }}",
        action="See whether it runs, how long a batch takes, and whether it has as many pods as partitions",
        why="The contract's: over 10,000 for 15 minutes. Not the sum: while the exporter is being replaced "
        "there are two that say the same.",
    )
    yield Alert(
        name="ConsumerBehind",
        expr=f"max by (group) ({oldest}) > {LAG_SECONDS_MAX}",
        lasting="10m",
        severity=Severity.WARNING,
        summary="{{ $labels.group }} is {{ $value | humanizeDuration }} behind",
        action="Compare what comes in with what it processes: few pods, a slow store, or a tenant's burst",
    )
    yield Alert(
        name="LagNearsRetention",
        expr=f"max by (group, topic) ({ages}) > {half_of_retention}",
        lasting="15m",
        severity=Severity.CRITICAL,
        summary="{{ $labels.group }} is {{ $value | humanizeDuration }} behind in {{ $labels.topic }}: more "
        "than half of the retention",
        action="Have it catch up, or lengthen the retention before events go that it has not read",
    )
    yield Alert(
        name="EventsExpiredUnread",
        expr=grew(scope.services("trunkline_consumer_expired_total"), "group, topic", within="1h"),
        lasting="0s",
        severity=Severity.CRITICAL,
        summary="Retention has deleted events of {{ $labels.topic }} that {{ $labels.group }} had not read",
        action="Lengthen the retention while it catches up, and have the publisher send what is missing",
    )


def _exporter(scope: Scope) -> Iterator[Alert]:
    up = scope.exporter("trunkline_exporter_up")
    yield Alert(
        name="ExporterDown",
        expr=f"max({up}) == 0 or absent({up})",
        lasting="5m",
        severity=Severity.CRITICAL,
        summary="Nobody tells how far behind the consumer groups are",
        action="See whether the exporter runs and reaches the brokers. Until then no alert on lag can fire",
    )
    yield Alert(
        name="LagAgeUnread",
        expr=f"max({scope.exporter('trunkline_exporter_unread_positions')}) > 0",
        lasting="30m",
        severity=Severity.WARNING,
        summary="The age of {{ $value }} lags cannot be read",
        action="The exporter's log names the topics: it may not read them, or they have no leader",
    )


def _failures(scope: Scope) -> Iterator[Alert]:
    failures = scope.services("trunkline_consumer_failures_total")
    breaker = scope.services("trunkline_consumer_breaker_open")
    paused = scope.services("trunkline_consumer_paused_partitions")
    yield Alert(
        name="EventsFail",
        expr=grew(failures, "group, topic, reason", within="15m"),
        lasting="0s",
        severity=Severity.WARNING,
        summary="{{ $labels.group }} has put events of {{ $labels.topic }} into its failure ledger: "
        "{{ $labels.reason }}",
        action="`trunkline failures list` shows them. Replay them once the cause is gone, or discard them",
        why="Skipped is not lost, but waits for somebody. A first failure is no increase of anything, hence "
        "the second half.",
    )
    yield Alert(
        name="BreakerOpen",
        expr=f"max by (group) (max_over_time({breaker}[15m])) == 1",
        lasting="0s",
        severity=Severity.CRITICAL,
        summary="{{ $labels.group }} has stopped: too many events in a row failed",
        action="Most likely its last deployment is bad: roll it back, then replay its failure ledger",
        why="A breaker that opens ends the process; once a scrape has seen it, it is remembered.",
    )
    yield Alert(
        name="PartitionsWait",
        expr=f"max by (group) ({paused}) > 0",
        lasting="5m",
        severity=Severity.WARNING,
        summary="{{ $labels.group }} has paused {{ $value }} partitions: its store or the network is away",
        action="Look at its database. It goes on by itself, and skips nothing",
    )


def _publishing(scope: Scope) -> Iterator[Alert]:
    failed = scope.services("trunkline_publisher_events_total", 'outcome=~"rejected|unknown"')
    oldest = scope.services("trunkline_outbox_oldest_age_seconds")
    stuck = scope.services("trunkline_outbox_stuck_tenants")
    yield Alert(
        name="PublishingFails",
        expr=grew(failed, "service, topic, outcome", within="15m"),
        lasting="0s",
        severity=Severity.WARNING,
        summary="Events of {{ $labels.service }} to {{ $labels.topic }} were not delivered: "
        "{{ $labels.outcome }}",
        action="Rejected: its log says which and why. Unknown: the brokers were away for longer than the "
        "retries last, and an outbox publishes the event again",
    )
    yield Alert(
        name="OutboxWaits",
        expr=f"max by (service) ({oldest}) > {OUTBOX_SECONDS_MAX}",
        lasting="5m",
        severity=Severity.WARNING,
        summary="The oldest event in the outbox of {{ $labels.service }} is "
        "{{ $value | humanizeDuration }} old",
        action="See whether its relay runs and reaches the brokers. Nothing is lost, and all of it is late",
    )
    yield Alert(
        name="OutboxTenantStuck",
        expr=f"max by (service) ({stuck}) > 0",
        lasting="1m",
        severity=Severity.CRITICAL,
        summary="{{ $value }} tenants of {{ $labels.service }} wait behind an event that was refused",
        action="`trunkline relay stuck` lists the events and why; discard what can never be published",
    )


def _configuration(scope: Scope) -> Iterator[Alert]:
    stale = scope.services("trunkline_broadcast_stale")
    rejected = scope.services("trunkline_broadcast_rejected_total")
    yield Alert(
        name="ConfigurationStale",
        expr=f"max by ({APP}, pod) ({stale}) == 1",
        lasting="5m",
        severity=Severity.WARNING,
        summary=f"{{{{ $labels.pod }}}} of {THIS} does not know whether its configuration is up to date",
        action="See whether config-service publishes and this pod reaches the brokers. It goes on with what "
        "it knows",
    )
    yield Alert(
        name="ConfigurationRejected",
        expr=grew(rejected, f"{APP}, reason", within="15m"),
        lasting="0s",
        severity=Severity.WARNING,
        summary=f"{THIS} could not apply a record of the configuration: {{{{ $labels.reason }}}}",
        action="Somebody other than config-service writes to config.change.events, or versions do not fit",
    )


def _running(scope: Scope, catalogue: Catalogue) -> Iterator[Alert]:
    names = sorted(runnable(catalogue))
    if not names:
        return
    expected = " or ".join(f'label_replace(vector(1), "{APP}", "{name}", "", "")' for name in names)
    any_of_them = "|".join(names)
    unready = scope.services("kube_deployment_status_replicas_unavailable", f'deployment=~"{any_of_them}"')
    restarts = scope.services("kube_pod_container_status_restarts_total", f'pod=~"({any_of_them})-.+"')
    yield Alert(
        name="ServiceDown",
        expr=f"({expected}) unless on ({APP}) ({scope.services('up')} == 1)",
        lasting="5m",
        severity=Severity.CRITICAL,
        summary=f"No pod of {THIS} gives its metrics",
        action="See its pods and their last log lines. What it should consume waits in the topics",
        why="All services by name: of one that was never deployed there is nothing that could be down.",
    )
    yield Alert(
        name="ServiceNotReady",
        expr=f"max by (deployment) ({unready}) > 0",
        lasting="15m",
        severity=Severity.WARNING,
        summary="{{ $value }} pods of {{ $labels.deployment }} are not ready",
        action="`/readyz` of such a pod says why, in sentences",
    )
    yield Alert(
        name="ServiceRestarts",
        expr=f"sum by (pod) (increase({restarts}[30m])) > 2",
        lasting="0s",
        severity=Severity.CRITICAL,
        summary="{{ $labels.pod }} restarts again and again",
        action="`kubectl logs --previous` ends with the reason: a breaker that opened, a store that is away, "
        "rights that are missing",
        why="A breaker may open between two scrapes; this sees it in any case.",
    )


def _certificates(scope: Scope) -> Alert:
    expiry = scope.services("trunkline_client_certificate_expiry_timestamp_seconds")
    return Alert(
        name="LoadedCertificateExpires",
        expr=f"min by ({APP}, pod) ({expiry}) - time() < {CERTIFICATE_DAYS_MIN * DAY_SECONDS}",
        lasting="1h",
        severity=Severity.CRITICAL,
        summary="{{ $labels.pod }} uses a certificate that ends in {{ $value | humanizeDuration }}",
        action="Restart it: the Secret has a newer one, if its KafkaUser is ready. With the old one the "
        "brokers refuse it, and all pods were made at about the same time",
        why="Strimzi renews 30 days before the end, and a pod reads its certificate at the start only.",
    )


def _ended_tenants(scope: Scope) -> Iterator[Alert]:
    answering = scope.services("trunkline_ended_tenants", 'stage="answering"')
    erasing = scope.services("trunkline_ended_tenants", 'stage="erasing"')
    yield Alert(
        name="ReceiptsMissing",
        expr=f"max by ({APP}) ({answering}) > 0",
        lasting="1h",
        severity=Severity.WARNING,
        summary=f"{THIS} has erased {{{{ $value }}}} ended tenants and cannot give the receipts",
        action="See whether it may write trunkline.erasure.receipts and reaches the brokers",
    )
    yield Alert(
        name="ErasureWaits",
        expr=f"max by ({APP}) ({erasing}) > 0",
        lasting="1d",
        severity=Severity.INFO,
        summary=f"{THIS} still has data of {{{{ $value }}}} ended tenants",
        action="A legal hold keeps it, then all is well; otherwise its log says what could not be erased",
        why="A hold may last for years: whoever places it silences this.",
    )
