"""The Kafka around a resource is that of its namespace and its label."""

from trunkline.operate.verdict import Surroundings, cluster_of, surroundings

KAFKA = {
    "kind": "Kafka",
    "metadata": {"name": "k", "namespace": "n"},
    "spec": {"cruiseControl": {}, "kafka": {"config": {"log.retention.ms": 5}}},
}


def test_a_kafka_tells_what_surrounds_its_topics() -> None:
    around = surroundings([KAFKA, {"kind": "KafkaTopic", "metadata": {"name": "t"}}])
    assert around == {
        ("n", "k"): Surroundings(
            is_there=True, has_cruise_control=True, broker_config={"log.retention.ms": 5}
        ),
        ("n", ""): Surroundings(is_there=True),
    }


def test_where_pods_are_something_may_be_connected() -> None:
    deployment = {"kind": "Deployment", "metadata": {"name": "d", "namespace": "m"}}
    account = {"kind": "ServiceAccount", "metadata": {"name": "a", "namespace": "o"}}
    assert surroundings([deployment, account]) == {("m", ""): Surroundings(is_there=True)}


def test_a_broken_kafka_tells_that_it_is_there() -> None:
    broken = {"kind": "Kafka", "metadata": {"name": "k"}, "spec": {"kafka": "nonsense"}}
    assert surroundings([broken])["", "k"] == Surroundings(is_there=True)


def test_a_resource_belongs_to_the_cluster_of_its_label() -> None:
    labels = {"strimzi.io/cluster": "k"}
    assert cluster_of(
        {"kind": "KafkaTopic", "metadata": {"name": "t", "namespace": "n", "labels": labels}}
    ) == ("n", "k")
    assert cluster_of({"kind": "KafkaTopic", "metadata": {"name": "t"}}) == ("", "")
    assert cluster_of(KAFKA) == ("n", "k")
