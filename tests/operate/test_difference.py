"""Only what the catalogue says counts, except where it says all there is."""

from copy import deepcopy
from typing import Any

import pytest

from trunkline.catalogue.load import load_catalogue
from trunkline.deploy.rendering import resources
from trunkline.operate.difference import NOTHING, Difference, differences, left_as_found, removals

PRODUCTION = {(one.kind, one.name): one.manifest() for one in resources(load_catalogue(), "production")}
TOPIC = PRODUCTION["KafkaTopic", "query.execution.events"]
USER = PRODUCTION["KafkaUser", "query-engine"]
POOL = PRODUCTION["KafkaNodePool", "brokers"]
KAFKA = PRODUCTION["Kafka", "trunkline"]
DEPLOYMENT = PRODUCTION["Deployment", "audit-service"]


def edited(manifest: dict[str, Any], *path: str | int, to: Any = NOTHING) -> dict[str, Any]:
    """A copy with one field set, or taken away."""
    made = deepcopy(manifest)
    *way, last = path
    inner: Any = made
    for name in way:
        inner = inner[name]
    if to is NOTHING:
        del inner[last]
    else:
        inner[last] = to
    return made


def fields(wanted: dict[str, Any], found: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    return [(one.field, one.found, one.wanted) for one in differences(wanted, found)]


@pytest.mark.parametrize("key", sorted(PRODUCTION))
def test_nothing_differs_from_itself(key: tuple[str, str]) -> None:
    assert differences(PRODUCTION[key], deepcopy(PRODUCTION[key])) == []


def test_what_a_server_adds_is_no_difference() -> None:
    found = {**deepcopy(DEPLOYMENT), "status": {"replicas": 1}}
    found["metadata"] |= {"uid": "1", "resourceVersion": "2", "managedFields": [], "finalizers": ["x"]}
    found["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = "7"
    found["spec"]["progressDeadlineSeconds"] = 600
    found["spec"]["template"]["spec"]["containers"].append({"name": "injected"})
    found["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"] = "IfNotPresent"
    assert differences(DEPLOYMENT, found) == []


def test_a_field_that_differs_is_named_with_both_values() -> None:
    found = edited(TOPIC, "spec", "config", "retention.ms", to=5)
    assert fields(TOPIC, found) == [("spec.config.retention.ms", 5, 2_592_000_000)]


def test_an_additional_setting_of_a_topic_and_a_missing_one_are_differences() -> None:
    found = edited(TOPIC, "spec", "config", "segment.ms", to=9)
    del found["spec"]["config"]["retention.ms"]
    assert fields(TOPIC, found) == [
        ("spec.config.retention.ms", NOTHING, 2_592_000_000),
        ("spec.config.segment.ms", 9, NOTHING),
    ]


@pytest.mark.parametrize(("ours", "theirs"), [(5, "5"), ("5", 5), (True, "true"), ("false", False)])
def test_kafka_reads_numbers_and_their_digits_as_the_same(ours: Any, theirs: Any) -> None:
    wanted = edited(TOPIC, "spec", "config", "x", to=ours)
    assert differences(wanted, edited(TOPIC, "spec", "config", "x", to=theirs)) == []


def test_elsewhere_a_number_is_not_its_digits_and_true_is_not_one() -> None:
    assert fields(POOL, edited(POOL, "spec", "replicas", to="3")) == [("spec.replicas", "3", 3)]
    wanted = edited(POOL, "spec", "replicas", to=1)
    assert fields(wanted, edited(POOL, "spec", "replicas", to=True)) == [("spec.replicas", True, 1)]


@pytest.mark.parametrize(("ours", "theirs"), [("1", "1000m"), ("1Gi", "1024Mi"), ("0.5", "500m"), (2, "2")])
def test_quantities_are_compared_by_value(ours: str, theirs: str) -> None:
    wanted = edited(POOL, "spec", "resources", "requests", "cpu", to=ours)
    assert differences(wanted, edited(POOL, "spec", "resources", "requests", "cpu", to=theirs)) == []


def test_quantities_that_are_none_are_compared_as_they_are() -> None:
    found = edited(POOL, "spec", "resources", "requests", "cpu", to="much")
    assert [one.field for one in differences(POOL, found)] == ["spec.resources.requests.cpu"]


def test_rights_are_named_one_by_one_whatever_their_order() -> None:
    found = deepcopy(USER)
    acls = found["spec"]["authorization"]["acls"]
    acls.reverse()
    acls.append({"resource": {"type": "topic", "name": "x"}, "operations": ["Write"]})
    acls[0]["operations"].remove("Read")
    left = acls[0]["resource"]
    star = "*" if left["patternType"] == "prefix" else ""
    assert sorted(one.field for one in differences(USER, found)) == sorted(
        [
            "spec.authorization.acls[Write on topic x]",
            f"spec.authorization.acls[Read on {left['type']} {left['name']}{star}]",
        ]
    )


def test_a_label_more_in_a_selector_is_a_difference_and_one_more_on_the_resource_is_none() -> None:
    policy = PRODUCTION["NetworkPolicy", "trunkline-default-deny"]
    found = deepcopy(policy)
    found["metadata"]["labels"]["theirs"] = "x"
    found["spec"]["podSelector"].setdefault("matchLabels", {})["app"] = "none"
    assert [one.field for one in differences(policy, found)] == ["spec.podSelector.matchLabels.app"]


def test_a_policy_is_ours_wholly_but_for_the_protocol_that_a_server_adds() -> None:
    policy = PRODUCTION["NetworkPolicy", "trunkline-services"]
    found = deepcopy(policy)
    for rule in found["spec"]["ingress"]:
        for port in rule.get("ports", ()):
            port["protocol"] = "TCP"
    assert differences(policy, found) == []
    found["spec"]["ingress"].append({})
    assert [one.field for one in differences(policy, found)] == ["spec.ingress"]


def test_an_empty_list_may_be_missing_and_an_empty_mapping_may_not() -> None:
    wanted = {"apiVersion": "v1", "kind": "X", "metadata": {"name": "x"}, "spec": {"a": [], "b": {}}}
    assert fields(wanted, {**wanted, "spec": {}}) == [("spec.b", NOTHING, {})]


@pytest.mark.parametrize("spec", [NOTHING, None])
def test_of_a_part_that_is_missing_whole_each_field_differs(spec: Any) -> None:
    bare = {name: value for name, value in TOPIC.items() if name != "spec"}
    found = bare if spec is NOTHING else {**bare, "spec": spec}
    every = differences(TOPIC, found)
    config = [f"spec.config.{name}" for name in TOPIC["spec"]["config"]]
    assert sorted(one.field for one in every) == sorted(["spec.partitions", "spec.replicas", *config])
    assert {one.found for one in every} == {NOTHING}
    assert left_as_found(TOPIC, every) == bare
    partly = [one for one in every if one.field not in {"spec.partitions", "spec.config.retention.ms"}]
    kept = {"partitions": 6, "config": {"retention.ms": 2_592_000_000}}
    assert left_as_found(TOPIC, partly) == {**bare, "spec": kept}


def test_an_item_that_is_missing_is_one_difference() -> None:
    found = edited(KAFKA, "spec", "kafka", "listeners", to=KAFKA["spec"]["kafka"]["listeners"][1:])
    (one,) = differences(KAFKA, found)
    assert one.field == f"spec.kafka.listeners.{KAFKA['spec']['kafka']['listeners'][0]['name']}"
    assert left_as_found(KAFKA, [one]) == found


def test_a_label_that_we_set_is_a_difference() -> None:
    found = edited(TOPIC, "metadata", "labels", "strimzi.io/cluster", to="other")
    assert fields(TOPIC, found) == [("metadata.labels.strimzi.io/cluster", "other", "trunkline")]


def test_fields_can_be_left_as_they_were_found() -> None:
    found = deepcopy(POOL)
    found["spec"]["replicas"] = 5
    found["spec"]["storage"]["volumes"][0]["size"] = "1Ti"
    found["spec"]["storage"]["volumes"].append({"id": 1, "type": "ephemeral"})
    del found["spec"]["jvmOptions"]
    every = differences(POOL, found)
    assert left_as_found(POOL, every) == found
    assert left_as_found(POOL, []) == POOL
    (replicas,) = [one for one in every if one.field == "spec.replicas"]
    assert left_as_found(POOL, [replicas]) == edited(POOL, "spec", "replicas", to=5)


def test_rights_can_be_left_as_they_were_found() -> None:
    found = deepcopy(USER)
    found["spec"]["authorization"]["acls"].append(
        {"resource": {"type": "topic", "name": "x"}, "operations": ["Write", "Read"]}
    )
    made = left_as_found(USER, differences(USER, found))
    assert differences(found, made) == []


def test_items_of_lists_without_names_can_be_left_as_they_were_found() -> None:
    policy = PRODUCTION["NetworkPolicy", "config-service"]
    found = deepcopy(policy)
    found["spec"]["policyTypes"][0] = "Egress"
    assert left_as_found(policy, differences(policy, found)) == found


def test_what_is_there_besides_is_removed_by_a_merge_patch_and_lists_as_a_whole() -> None:
    found = edited(POOL, "spec", "more", to=1)
    found["spec"]["replicas"] = 7
    found["spec"]["storage"]["volumes"][0]["more"] = 1
    besides = [one.at for one in differences(POOL, found) if one.wanted is NOTHING]
    assert removals(found, besides) == {
        "spec": {"more": None, "storage": {"volumes": POOL["spec"]["storage"]["volumes"]}}
    }
    assert removals(POOL, besides) == {}


def test_what_was_not_named_for_removal_stays_also_in_a_list() -> None:
    found = deepcopy(DEPLOYMENT)
    containers = found["spec"]["template"]["spec"]["containers"]
    containers.append({"name": "injected"})
    containers[0]["old"] = 1
    place = ("spec", "template", "spec", "containers", containers[0]["name"], "old")
    patch = removals(found, [place])
    assert patch["spec"]["template"]["spec"]["containers"] == [
        *DEPLOYMENT["spec"]["template"]["spec"]["containers"],
        {"name": "injected"},
    ]


def test_in_a_list_without_names_the_whole_list_is_written() -> None:
    policy = PRODUCTION["NetworkPolicy", "trunkline-services"]
    found = deepcopy(policy)
    found["spec"]["ingress"][0]["more"] = 1
    patch = removals(found, [("spec", "ingress", "0", "more"), ("spec", "ingress", "9", "gone")])
    assert patch == {"spec": {"ingress": policy["spec"]["ingress"]}}


def test_a_difference_says_where_in_one_line() -> None:
    right = Difference(at=("spec", "acls", "Read on topic a.b"), found=NOTHING, wanted={})
    assert right.field == "spec.acls[Read on topic a.b]"
