"""Resources that were found against the catalogue's: what is missing, what differs, what is nobody's."""

from collections.abc import Iterable, Iterator
from copy import deepcopy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from trunkline.catalogue.load import load_catalogue
from trunkline.deploy.rendering import resources
from trunkline.operate.change import Change, Layer, Risk, Verb
from trunkline.operate.difference import HEAD, NOTHING, differences, left_as_found, removals
from trunkline.operate.manifests import Key, key_of
from trunkline.operate.resources import change_of, is_ours, judged, resource_changes, shown
from trunkline.operate.verdict import Surroundings

WANTED = resources(load_catalogue(), "production")
PRODUCTION = {one.key: one.manifest() for one in WANTED}
TOPIC = ("kafka.strimzi.io/v1", "KafkaTopic", "trunkline", "query.execution.events")
USER = ("kafka.strimzi.io/v1", "KafkaUser", "trunkline", "query-engine")
OURS = {("trunkline", "trunkline")}


NONSENSE = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "x", "1Gi", "name"]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["name", "id", "x y"]), inner)
    ),
    max_leaves=4,
)


def containers(value: Any) -> Iterator[Any]:
    """All mappings and lists in a value that have something in them."""
    if isinstance(value, dict | list) and value:
        yield value
        for inner in value.values() if isinstance(value, dict) else value:
            yield from containers(inner)


@st.composite
def vandalised(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    """A rendered manifest, and what somebody has made of its body."""
    wanted = PRODUCTION[draw(st.sampled_from(sorted(PRODUCTION)))]
    found = deepcopy(wanted)
    body = {name: value for name, value in found.items() if name not in HEAD}
    for _ in range(draw(st.integers(1, 3))):
        inner = draw(st.sampled_from(list(containers(body)) or [body]))
        place = draw(st.sampled_from(sorted(inner) if isinstance(inner, dict) else range(len(inner))))
        if draw(st.booleans()):
            inner[place] = draw(NONSENSE)
        else:
            del inner[place]
            if not body:
                break
    return wanted, {**{name: found[name] for name in HEAD}, **body}


def as_wanted() -> dict[Key, dict[str, Any]]:
    return {one.key: one.manifest() for one in WANTED}


def told(changes: Iterable[Change]) -> list[tuple[Verb, str, Risk]]:
    return [(change.verb, change.subject, change.risk) for change in changes]


def foreign(kind: str, name: str, **labels: str) -> dict[str, Any]:
    named = {name.replace("_", "/", 1): value for name, value in labels.items()}
    return {
        "apiVersion": "kafka.strimzi.io/v1" if kind.startswith("Kafka") else "v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": "trunkline", "labels": named},
        "spec": {},
    }


def test_what_is_as_wanted_needs_no_change() -> None:
    assert resource_changes(WANTED, as_wanted()) == []


def test_where_nothing_is_everything_is_created_and_nothing_at_risk() -> None:
    changes = resource_changes(WANTED, {})
    assert len(changes) == len(WANTED)
    assert {(change.verb, change.risk, change.field, change.remedy) for change in changes} == {
        (Verb.CREATE, Risk.SAFE, "", "")
    }
    assert {change.layer for change in changes} == {Layer.RESOURCE}


def test_each_edited_field_is_a_change_of_its_own_with_its_risk() -> None:
    found = as_wanted()
    found[TOPIC]["spec"]["config"]["retention.ms"] = 86_400_000
    found[TOPIC]["spec"]["config"]["segment.ms"] = 5
    found[TOPIC]["spec"]["partitions"] = 7
    found[USER]["spec"]["authorization"]["acls"].append(
        {"resource": {"type": "topic", "name": "billing.usage.events"}, "operations": ["Read"]}
    )
    topic, user = "KafkaTopic trunkline/query.execution.events", "KafkaUser trunkline/query-engine"
    assert sorted(told(resource_changes(WANTED, found))) == sorted(
        [
            (Verb.ALTER, f"{topic} spec.config.retention.ms", Risk.SAFE),
            (Verb.DELETE, f"{topic} spec.config.segment.ms", Risk.SAFE),
            (Verb.ALTER, f"{topic} spec.partitions", Risk.ORDER),
            (Verb.DELETE, f"{user} spec.authorization.acls[Read on topic billing.usage.events]", Risk.ACCESS),
        ]
    )


def test_each_field_is_judged_where_all_around_it_is_missing() -> None:
    found = as_wanted()
    kafka = next(key for key in found if key[1] == "Kafka")
    del found[TOPIC]["spec"]["config"], found[kafka]["spec"]["kafka"]["config"]
    risks = {change.subject.rpartition("/")[2]: change.risk for change in resource_changes(WANTED, found)}
    assert risks["query.execution.events spec.config.retention.bytes"] is Risk.SAFE
    assert risks["trunkline spec.kafka.config.log.retention.ms"] is Risk.DATA
    assert risks["trunkline spec.kafka.config.num.partitions"] is Risk.REBALANCE
    found[kafka]["spec"]["kafka"]["config"] = {"log.retention.ms": -1}
    del found[TOPIC]["spec"]
    risks = {change.subject.rpartition("/")[2]: change.risk for change in resource_changes(WANTED, found)}
    assert risks["query.execution.events spec.config.retention.ms"] is Risk.DATA
    assert risks["query.execution.events spec.partitions"] is Risk.ORDER


def test_a_deleted_topic_is_one_change() -> None:
    found = as_wanted()
    del found[TOPIC]
    (change,) = resource_changes(WANTED, found)
    assert (change.verb, change.field, change.found, change.wanted) == (Verb.CREATE, "", "absent", "there")
    assert (change.risk, change.remedy) == (Risk.DATA, "")


def test_a_policy_is_safe_to_make_only_where_no_pods_are() -> None:
    found = as_wanted()
    policies = {key for key in found if key[1] == "NetworkPolicy"}
    running = {key: one for key, one in found.items() if key not in policies}
    risks = {change.risk for change in resource_changes(WANTED, running)}
    assert risks == {Risk.ACCESS}
    accounts = {key: one for key, one in running.items() if key[1] == "ServiceAccount"}
    made = [change for change in resource_changes(WANTED, accounts) if change.kind == "NetworkPolicy"]
    assert {change.risk for change in made} == {Risk.SAFE}


def test_whether_replicas_can_move_depends_on_the_kafka_that_was_found() -> None:
    found = as_wanted()
    found[TOPIC]["spec"]["replicas"] = 2
    (balanced,) = resource_changes(WANTED, found)
    kafka = next(key for key in found if key[1] == "Kafka")
    del found[kafka]["spec"]["cruiseControl"]
    alone = [change for change in resource_changes(WANTED, found) if change.kind == "KafkaTopic"]
    assert (balanced.remedy, balanced.risk) == ("", Risk.REBALANCE)
    assert alone[0].remedy


def test_what_has_our_labels_and_is_not_in_the_catalogue_is_named_and_left() -> None:
    topic = foreign("KafkaTopic", "old.topic", strimzi_io_cluster="x")
    topic["metadata"]["labels"] = {"strimzi.io/cluster": "trunkline"}
    service = foreign("Service", "old-service")
    service["metadata"]["labels"] = {"app.kubernetes.io/part-of": "trunkline"}
    stranger = foreign("Service", "stranger")
    found = {**as_wanted(), **{key_of(one): one for one in (topic, service, stranger)}}
    changes = resource_changes(WANTED, found)
    assert told(changes) == [
        (Verb.DELETE, "KafkaTopic trunkline/old.topic", Risk.DATA),
        (Verb.DELETE, "Service trunkline/old-service", Risk.SAFE),
    ]
    assert all(change.remedy and change.found == "there" for change in changes)


def test_a_topic_of_another_cluster_is_not_ours() -> None:
    topic = foreign("KafkaTopic", "t")
    assert not is_ours(topic, OURS)
    topic["metadata"]["labels"] = {"strimzi.io/cluster": "other"}
    assert not is_ours(topic, OURS)
    topic["metadata"]["labels"] = {"strimzi.io/cluster": "trunkline"}
    assert is_ours(topic, OURS)
    topic["metadata"]["namespace"] = "elsewhere"
    assert not is_ours(topic, OURS)


def test_found_resources_are_not_touched() -> None:
    found = as_wanted()
    found[TOPIC]["spec"]["partitions"] = 7
    before = deepcopy(found)
    resource_changes(WANTED, found)
    assert found == before


def test_values_are_shown_in_a_few_characters() -> None:
    assert shown(NOTHING) == "absent"
    assert shown("text") == "text"
    assert shown(5) == "5"
    assert shown({"a": True}) == '{"a": true}'
    assert shown(["a"]) == '["a"]'
    assert shown(["a" * 50, "b" * 50]) == "2 items"
    assert shown({"a": "b" * 99}) == "1 field"
    assert shown("line\n" * 40).endswith("… (200 characters)")
    assert "\n" not in shown("a\nb")


@settings(deadline=None)
@given(vandalised())
def test_whatever_somebody_makes_of_a_manifest_is_judged_and_can_be_left_as_it_is(
    pair: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    wanted, found = pair
    before = deepcopy(pair)
    every = judged(wanted, found, Surroundings(is_there=True))
    told = [change_of(wanted, one).subject for one in every]
    assert len(set(told)) == len(told)
    assert all("\n" not in one for one in told)
    assert differences(left_as_found(wanted, [one.difference for one in every]), found) == []
    assert isinstance(removals(found, [one.difference.at for one in every]), dict)
    assert pair == before
