"""Every alert on the services and their lag fires, and resolves, in Prometheus's own engine."""

from pathlib import Path

import pytest

from trunkline.catalogue.load import load_catalogue
from trunkline.deploy.alerts_of_services import service_alerts
from trunkline.testing.clusters import a_cluster
from trunkline.testing.promtool import Trial, try_alerts

ENVIRONMENTS = ["development", "production"]

EXPORTER = 'namespace="services", app="trunkline-exporter"'
POD = 'namespace="services", app="audit-service", pod="audit-service-0"'
GROUP = f'{POD}, group="audit-service"'
PUBLISHER = f'{POD}, service="audit-service"'
TOPIC = "query.execution.events"
LATE_S = 16 * 86_400

AUDIT = {"app": "audit-service"}
AUDIT_GROUP = {"group": "audit-service"}
AUDIT_PUBLISHER = {"service": "audit-service"}
AUDIT_TOPIC = {"group": "audit-service", "topic": TOPIC}

OTHERS_UP = {
    f'up{{namespace="services", app="{service}", pod="{service}-0"}}': "1x60"
    for service in load_catalogue().services
    if service != "audit-service"
}

LAG = [
    Trial(
        alert="ConsumerLag",
        series={
            f'kafka_consumergroup_lag_sum{{{EXPORTER}, consumergroup="audit-service", topic="{TOPIC}"}}': (
                "10000x20 10001x10 2345678x9 10000x20"
            )
        },
        quiet_before="35m",
        fires="36m",
        quiet_after="42m",
        labels={"consumergroup": "audit-service", "topic": TOPIC},
        value="2345678",
    ),
    Trial(
        alert="ConsumerBehind",
        series={
            f'kafka_consumergroup_group_max_lag_seconds{{{EXPORTER}, group="audit-service"}}': (
                "299x5 420x20 0x20"
            )
        },
        quiet_before="15m",
        fires="16m",
        quiet_after="27m",
        labels=AUDIT_GROUP,
        value="7m 0s",
    ),
    Trial(
        alert="LagNearsRetention",
        series={
            f'kafka_consumergroup_group_lag_seconds{{{EXPORTER}, group="audit-service", topic="{TOPIC}", '
            f'partition="{partition}"}}': course
            for partition, course in enumerate([f"300x5 {LATE_S}x20 0x20", "0x60"])
        },
        quiet_before="20m",
        fires="21m",
        quiet_after="27m",
        labels=AUDIT_TOPIC,
        value="16d 0h 0m 0s",
    ),
    Trial(
        alert="EventsExpiredUnread",
        series={f'trunkline_consumer_expired_total{{{GROUP}, topic="{TOPIC}"}}': "_x9 7x120"},
        quiet_before="8m",
        fires="10m",
        quiet_after="71m",
        labels=AUDIT_TOPIC,
    ),
    Trial(
        alert="ExporterDown",
        series={f"trunkline_exporter_up{{{EXPORTER}}}": "1x5 0x10 1x30"},
        quiet_before="10m",
        fires="11m",
        quiet_after="17m",
        labels={},
    ),
    Trial(
        alert="ExporterDown",
        series={f"trunkline_exporter_up{{{EXPORTER}}}": "1x5 _x20 1x30"},
        quiet_before="14m",
        fires="16m",
        quiet_after="27m",
        labels={"namespace": "services", "app": "trunkline-exporter"},
    ),
    Trial(
        alert="LagAgeUnread",
        series={f"trunkline_exporter_unread_positions{{{EXPORTER}}}": "0x5 4x40 0x30"},
        quiet_before="35m",
        fires="36m",
        quiet_after="47m",
        labels={},
        value="4",
    ),
]

FAILURES = [
    Trial(  # The first failure: before it there was no such counter.
        alert="EventsFail",
        series={
            f'trunkline_consumer_failures_total{{{GROUP}, topic="{TOPIC}", reason="handler"}}': "_x9 1x60"
        },
        quiet_before="8m",
        fires="10m",
        quiet_after="26m",
        labels={**AUDIT_TOPIC, "reason": "handler"},
    ),
    Trial(  # One more of a kind that there has been for long.
        alert="EventsFail",
        series={
            f'trunkline_consumer_failures_total{{{GROUP}, topic="{TOPIC}", reason="handler"}}': "3x40 4x60"
        },
        quiet_before="40m",
        fires="42m",
        quiet_after="58m",
        labels={**AUDIT_TOPIC, "reason": "handler"},
    ),
    Trial(  # Prometheus was away for some minutes: that is no failure of anything.
        alert="EventsFail",
        series={
            f'trunkline_consumer_failures_total{{{GROUP}, topic="{TOPIC}", reason="handler"}}': (
                "3x40 _x9 3x30 4x30"
            )
        },
        quiet_before="60m",
        fires="83m",
        quiet_after="100m",
        labels={**AUDIT_TOPIC, "reason": "handler"},
    ),
    Trial(
        alert="BreakerOpen",
        series={f"trunkline_consumer_breaker_open{{{GROUP}}}": "0x9 1 0x40"},
        quiet_before="9m",
        fires="20m",
        quiet_after="26m",
        labels=AUDIT_GROUP,
    ),
    Trial(
        alert="PartitionsWait",
        series={f"trunkline_consumer_paused_partitions{{{GROUP}}}": "0x5 6x10 0x20"},
        quiet_before="10m",
        fires="12m",
        quiet_after="17m",
        labels=AUDIT_GROUP,
        value="6",
    ),
]

PUBLISHING = [
    *(
        Trial(
            alert="PublishingFails",
            series={
                f'trunkline_publisher_events_total{{{PUBLISHER}, topic="{TOPIC}", outcome="{outcome}"}}': (
                    "_x9 1x60"
                ),
                f'trunkline_publisher_events_total{{{PUBLISHER}, topic="{TOPIC}", outcome="delivered"}}': (
                    "0+100x60"
                ),
            },
            quiet_before="8m",
            fires="10m",
            quiet_after="26m",
            labels={**AUDIT_PUBLISHER, "topic": TOPIC, "outcome": outcome},
        )
        for outcome in ("rejected", "unknown")
    ),
    Trial(
        alert="OutboxWaits",
        series={f"trunkline_outbox_oldest_age_seconds{{{PUBLISHER}}}": "0x5 90x10 1x20"},
        quiet_before="10m",
        fires="12m",
        quiet_after="17m",
        labels=AUDIT_PUBLISHER,
        value="1m 30s",
    ),
    Trial(
        alert="OutboxTenantStuck",
        series={f"trunkline_outbox_stuck_tenants{{{PUBLISHER}}}": "0x5 1x10 0x20"},
        quiet_before="6m",
        fires="8m",
        quiet_after="17m",
        labels=AUDIT_PUBLISHER,
        value="1",
    ),
]

CONFIGURATION = [
    Trial(
        alert="ConfigurationStale",
        series={f"trunkline_broadcast_stale{{{POD}}}": "0x5 1x10 0x20"},
        quiet_before="10m",
        fires="12m",
        quiet_after="17m",
        labels={**AUDIT, "pod": "audit-service-0"},
    ),
    Trial(
        alert="ConfigurationRejected",
        series={f'trunkline_broadcast_rejected_total{{{POD}, reason="invalid_data"}}': "_x9 1x60"},
        quiet_before="8m",
        fires="10m",
        quiet_after="26m",
        labels={**AUDIT, "reason": "invalid_data"},
    ),
]

UNAVAILABLE = "kube_deployment_status_replicas_unavailable"

RUNNING = [
    Trial(  # Its pod is there and does not answer.
        alert="ServiceDown",
        series={**OTHERS_UP, f"up{{{POD}}}": "1x5 0x20 1x30"},
        quiet_before="10m",
        fires="12m",
        quiet_after="27m",
        labels=AUDIT,
    ),
    Trial(  # There is no such pod.
        alert="ServiceDown",
        series={**OTHERS_UP, f"up{{{POD}}}": "1x5 _x20 1x30"},
        quiet_before="10m",
        fires="16m",
        quiet_after="27m",
        labels=AUDIT,
    ),
    Trial(
        alert="ServiceNotReady",
        series={
            f'{UNAVAILABLE}{{namespace="services", deployment="audit-service"}}': ("0x5 2x20 0x20"),
            f'{UNAVAILABLE}{{namespace="services", deployment="not-ours"}}': "1x60",
        },
        quiet_before="20m",
        fires="21m",
        quiet_after="27m",
        labels={"deployment": "audit-service"},
        value="2",
    ),
    Trial(
        alert="ServiceRestarts",
        series={
            'kube_pod_container_status_restarts_total{namespace="services", container="service", '
            'pod="audit-service-0"}': "0x30 0+1x5 5x60"
        },
        quiet_before="31m",
        fires="36m",
        quiet_after="68m",
        labels={"pod": "audit-service-0"},
    ),
]

ENDED_TENANTS = [
    Trial(
        alert="ReceiptsMissing",
        series={
            f'trunkline_ended_tenants{{{POD}, stage="answering"}}': "0x5 1x90 0x20",
            f'trunkline_ended_tenants{{{POD}, stage="answered"}}': "5x120",
        },
        quiet_before="64m",
        fires="67m",
        quiet_after="98m",
        labels=AUDIT,
        value="1",
    ),
    Trial(
        alert="ErasureWaits",
        series={f'trunkline_ended_tenants{{{POD}, stage="erasing"}}': "0x5 2x1500 0x60"},
        quiet_before="24h",
        fires="24h10m",
        quiet_after="25h30m",
        labels=AUDIT,
        value="2",
    ),
]

DAY = 86_400
CERTIFICATES = [
    Trial(
        alert="LoadedCertificateExpires",
        series={
            f"trunkline_client_certificate_expiry_timestamp_seconds{{{POD}}}": (
                f"{25 * DAY}x30 {10 * DAY}x120 {300 * DAY}x30"
            )
        },
        quiet_before="89m",
        fires="100m",
        quiet_after="160m",
        labels={**AUDIT, "pod": "audit-service-0"},
        value="9d 22h 20m 0s",
    ),
]

TRIALS = [*LAG, *FAILURES, *PUBLISHING, *CONFIGURATION, *RUNNING, *CERTIFICATES, *ENDED_TENANTS]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_no_alert_lacks_a_trial(environment: str) -> None:
    catalogue = load_catalogue()
    alerts = service_alerts(catalogue, catalogue.environment(environment), a_cluster())
    assert {trial.alert for trial in TRIALS} == {alert.name for alert in alerts}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_each_alert_fires_and_resolves(environment: str, promtool: Path, tmp_path: Path) -> None:
    catalogue = load_catalogue()
    alerts = service_alerts(catalogue, catalogue.environment(environment), a_cluster())
    groups = [{"name": "services", "rules": [alert.rule(environment) for alert in alerts]}]
    said = try_alerts(promtool, groups, TRIALS, tmp_path)
    assert not said, said
