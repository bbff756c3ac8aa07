"""Every alert on the cluster fires, and resolves, in Prometheus's own engine."""

from pathlib import Path

import pytest

from trunkline.catalogue.load import load_catalogue
from trunkline.deploy.alerts_of_kafka import kafka_alerts
from trunkline.testing.clusters import a_cluster
from trunkline.testing.promtool import Trial, try_alerts

CLUSTERS = {"development": a_cluster(controllers=0), "production": a_cluster()}

CLUSTER = 'namespace="kafka", strimzi_io_cluster="backbone"'
CONTROLLER = f'{CLUSTER}, strimzi_io_controller_role="true"'
BROKER = f'{CLUSTER}, strimzi_io_broker_role="true", pod="backbone-broker-0"'
EXPORTER = 'namespace="services", app="trunkline-exporter"'
CLAIM = 'namespace="kafka", persistentvolumeclaim="data-0-backbone-broker-0"'
CERTIFICATE = 'cluster="backbone", resource_namespace="kafka", type="cluster-ca"'
DAY_MS = 86_400_000

OFFLINE = "kafka_controller_kafkacontroller_offlinepartitionscount"
ACTIVE = "kafka_controller_kafkacontroller_activecontrollercount"
UNCLEAN = "kafka_controller_controllerstats_uncleanleaderelectionspersec_total"

REPLICATED = [
    Trial(
        alert="BrokerMissing",
        series={f"kafka_brokers{{{EXPORTER}}}": "3x5 2x10 3x30"},
        quiet_before="10m",
        fires="12m",
        quiet_after="18m",
        labels={},
        value="2",
    ),
    Trial(
        alert="UnderReplicated",
        series={f"kafka_server_replicamanager_underreplicatedpartitions{{{BROKER}}}": "0x5 7x30 0x30"},
        quiet_before="20m",
        fires="22m",
        quiet_after="40m",
        labels={"pod": "backbone-broker-0"},
        value="7",
    ),
    Trial(
        alert="UnderMinInSync",
        series={f"kafka_server_replicamanager_underminisrpartitioncount{{{BROKER}}}": "0x5 2x10 0x30"},
        quiet_before="7m",
        fires="9m",
        quiet_after="20m",
        labels={"pod": "backbone-broker-0"},
        value="2",
    ),
    Trial(
        alert="UncleanElection",
        series={
            f'{UNCLEAN}{{{CONTROLLER}, pod="c-{n}"}}': (course)
            for n, course in enumerate(["0x60", "0x30 1x30"])
        },
        quiet_before="29m",
        fires="32m",
        quiet_after="50m",
        labels={"namespace": "kafka"},
    ),
]

EVERYWHERE = [
    Trial(
        alert="PartitionsOffline",
        series={
            f'{OFFLINE}{{{CONTROLLER}, pod="c-0"}}': "0x5 3x10 0x9",
            f'{OFFLINE}{{{CONTROLLER}, pod="c-1"}}': "0x30",
        },
        quiet_before="6m",
        fires="8m",
        quiet_after="18m",
        labels={},
        value="3",
    ),
    Trial(
        alert="NoActiveController",
        series={
            f'{ACTIVE}{{{CONTROLLER}, pod="c-0"}}': "1x5 0x10 0x30",
            f'{ACTIVE}{{{CONTROLLER}, pod="c-1"}}': "0x5 0x10 1x30",
        },
        quiet_before="7m",
        fires="9m",
        quiet_after="17m",
        labels={},
        value="0",
    ),
    Trial(
        alert="ReplicasOffline",
        series={f"kafka_server_replicamanager_offlinereplicacount{{{BROKER}}}": "0x5 12x10 0x30"},
        quiet_before="6m",
        fires="8m",
        quiet_after="18m",
        labels={"pod": "backbone-broker-0"},
        value="12",
    ),
    Trial(
        alert="KafkaNotScraped",
        series={
            f'up{{{CLUSTER}, strimzi_io_component_type="kafka", pod="k-{node}"}}': "1x5 0x20 1x30"
            for node in range(6)
        },
        quiet_before="14m",
        fires="17m",
        quiet_after="28m",
        labels={},
        value="0",
    ),
    Trial(
        alert="DiskNearlyFull",
        series={
            f"kubelet_volume_stats_used_bytes{{{CLAIM}}}": "80x5 86x20 80x30",
            f"kubelet_volume_stats_capacity_bytes{{{CLAIM}}}": "100x60",
        },
        quiet_before="15m",
        fires="17m",
        quiet_after="28m",
        labels={"persistentvolumeclaim": "data-0-backbone-broker-0"},
        value="86%",
    ),
    Trial(
        alert="DiskFilling",
        series={
            f"kubelet_volume_stats_used_bytes{{{CLAIM}}}": "6000x60 6000+1x240 6240x600",
            f"kubelet_volume_stats_capacity_bytes{{{CLAIM}}}": "7000x900",
            f"kubelet_volume_stats_available_bytes{{{CLAIM}}}": "1000x60 1000-1x240 760x600",
        },
        quiet_before="1h",
        fires="5h",
        quiet_after="13h",
        labels={"persistentvolumeclaim": "data-0-backbone-broker-0"},
        value="89.13%",
    ),
    Trial(
        alert="CertificateExpires",
        series={
            f"strimzi_certificate_expiration_timestamp_ms{{{CERTIFICATE}}}": (
                f"{40 * DAY_MS}x5 {19 * DAY_MS}x90 {365 * DAY_MS}x30"
            )
        },
        quiet_before="60m",
        fires="70m",
        quiet_after="100m",
        labels={"type": "cluster-ca"},
        value="18d 22h 50m 0s",
    ),
    Trial(
        alert="CertificatesUnwatched",
        series={f"strimzi_certificate_expiration_timestamp_ms{{{CERTIFICATE}}}": f"1x5 _x90 {DAY_MS}x30"},
        quiet_before="60m",
        fires="75m",
        quiet_after="100m",
        labels={"cluster": "backbone", "resource_namespace": "kafka"},
    ),
    Trial(
        alert="KafkaNotReconciled",
        series={
            'strimzi_reconciliations_failed_total{namespace="strimzi", exported_namespace="kafka", '
            'kind="Kafka"}': "0x30 0+1x60 60x60"
        },
        quiet_before="40m",
        fires="60m",
        quiet_after="130m",
        labels={},
    ),
    Trial(
        alert="ResourcesNotApplied",
        series={f'strimzi_reconciliations_failed_total{{{CLUSTER}, kind="KafkaTopic"}}': "0x30 0+1x60 60x60"},
        quiet_before="40m",
        fires="60m",
        quiet_after="130m",
        labels={"kind": "KafkaTopic"},
    ),
]

TRIALS = {"development": EVERYWHERE, "production": [*EVERYWHERE, *REPLICATED]}


@pytest.mark.parametrize("environment", CLUSTERS)
def test_no_alert_lacks_a_trial(environment: str) -> None:
    alerts = kafka_alerts(load_catalogue().environment(environment), CLUSTERS[environment])
    assert sorted(trial.alert for trial in TRIALS[environment]) == sorted(alert.name for alert in alerts)


@pytest.mark.parametrize("environment", CLUSTERS)
def test_each_alert_fires_and_resolves(environment: str, promtool: Path, tmp_path: Path) -> None:
    alerts = kafka_alerts(load_catalogue().environment(environment), CLUSTERS[environment])
    groups = [{"name": "kafka", "rules": [alert.rule(environment) for alert in alerts]}]
    said = try_alerts(promtool, groups, TRIALS[environment], tmp_path)
    assert not said, said


@pytest.mark.parametrize(("environment", "nodes"), [("development", 1), ("production", 6)])
def test_every_node_is_expected_to_give_its_metrics(environment: str, nodes: int) -> None:
    alerts = kafka_alerts(load_catalogue().environment(environment), CLUSTERS[environment])
    (scraped,) = [alert for alert in alerts if alert.name == "KafkaNotScraped"]
    assert scraped.expr.endswith(f"< {nodes}")
