"""The catalogue's resources on a real Kubernetes API: applied whole, edited by others, and repaired."""

import json
from collections.abc import Iterable, Iterator
from copy import deepcopy
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from trunkline.catalogue.load import load_catalogue
from trunkline.deploy.rendering import resources
from trunkline.deploy.resource import Resource
from trunkline.operate.apply import Applied, Outcome
from trunkline.operate.apply_resources import NOT_TRIED, apply_order, apply_resources
from trunkline.operate.change import Change, Risk, Verb
from trunkline.operate.kubernetes import KubernetesApi
from trunkline.operate.manifests import Key, Manifest
from trunkline.operate.resources import resource_changes
from trunkline.testing.kube_people import Somebody

TOPIC = "query.execution.events"
EVERYTHING = frozenset(Risk)


def rendered(environment: str, namespace: str) -> list[Resource]:
    """The environment, all of it in one namespace."""
    return [replace(one, namespace=namespace) for one in resources(load_catalogue(), environment)]


def with_config(topic: Resource, **changes: Any) -> Resource:
    """A topic with other settings; None takes one away."""
    spec = topic.manifest()["spec"]
    config = {name: value for name, value in {**spec["config"], **changes}.items() if value is not None}
    return replace(topic, body={"spec": {**spec, "config": config}}, why={})


def some(wanted: Iterable[Resource], *kinds: str) -> list[Resource]:
    return [one for one in wanted if one.kind in kinds]


class Told:
    """What became of the changes."""

    def __init__(self, every: Iterable[Applied]) -> None:
        self.every = tuple(every)

    def of(self, outcome: Outcome) -> tuple[Change, ...]:
        return tuple(one.change for one in self.every if one.outcome is outcome)

    @property
    def done(self) -> tuple[Change, ...]:
        return self.of(Outcome.DONE)

    @property
    def left(self) -> tuple[Change, ...]:
        return self.of(Outcome.LEFT)

    @property
    def failed(self) -> tuple[Applied, ...]:
        return tuple(one for one in self.every if one.outcome is Outcome.FAILED)


class Environment:
    """A rendered environment on the server, and what is done with it."""

    def __init__(self, api: KubernetesApi, wanted: list[Resource]) -> None:
        self.api = api
        self.wanted = wanted

    def found(self) -> dict[Key, Manifest]:
        return self.api.read(one.key for one in self.wanted)

    def changes(self) -> list[Change]:
        return resource_changes(self.wanted, self.found())

    def told(self) -> set[tuple[Verb, str, Risk]]:
        return {(one.verb, f"{one.kind} {one.field}".strip(), one.risk) for one in self.changes()}

    def apply(self, *, allowed: frozenset[Risk] = frozenset(), force: bool = True) -> Told:
        return Told(apply_resources(self.api, self.wanted, self.found(), allowed=allowed, force=force))

    def manifest(self, kind: str, name: str) -> dict[str, Any]:
        (one,) = [one for one in self.wanted if (one.kind, one.name) == (kind, name)]
        return one.manifest()


@pytest.fixture
def kafka(api: KubernetesApi, namespace: str) -> Environment:
    """Kafka's resources of production, applied."""
    kinds = ("Kafka", "KafkaNodePool", "KafkaTopic", "KafkaUser")
    made = Environment(api, some(rendered("production", namespace), *kinds))
    outcome = made.apply(force=False)
    assert (outcome.left, outcome.failed) == ((), ())
    return made


@pytest.mark.slow
@pytest.mark.parametrize("environment", ["development", "production"])
def test_a_whole_environment_is_taken_by_a_real_api_and_needs_no_second_apply(
    api: KubernetesApi, namespace: str, environment: str
) -> None:
    made = Environment(api, rendered(environment, namespace))
    outcome = made.apply(force=False)
    assert (outcome.left, outcome.failed) == ((), ())
    assert len(outcome.done) == len(made.wanted) > 100
    assert made.changes() == []
    assert made.apply(force=False).every == ()


@pytest.mark.slow
def test_what_somebody_edits_is_named_with_its_risk_and_the_safe_part_is_repaired(
    kafka: Environment, somebody: Somebody
) -> None:
    topic, user = kafka.manifest("KafkaTopic", TOPIC), kafka.manifest("KafkaUser", "query-engine")
    somebody.edit(topic, {"spec": {"config": {"retention.ms": 86_400_000, "segment.ms": 5}, "partitions": 7}})
    stolen = {"resource": {"type": "topic", "name": "billing.usage.events"}, "operations": ["Read"]}
    acls = user["spec"]["authorization"]["acls"]
    somebody.edit(user, {"spec": {"authorization": {"acls": [*acls[1:], stolen]}}})
    somebody.delete(kafka.manifest("KafkaTopic", "ml.model.events"))
    of = f"{acls[0]['resource']['type']} {acls[0]['resource']['name']}"
    missing = {
        (Verb.CREATE, f"KafkaUser spec.authorization.acls[{operation} on {of}]", Risk.SAFE)
        for operation in acls[0]["operations"]
    }
    unsafe = {
        (Verb.ALTER, "KafkaTopic spec.partitions", Risk.ORDER),
        (Verb.DELETE, "KafkaUser spec.authorization.acls[Read on topic billing.usage.events]", Risk.ACCESS),
    }
    assert kafka.told() == unsafe | missing | {
        (Verb.ALTER, "KafkaTopic spec.config.retention.ms", Risk.SAFE),
        (Verb.DELETE, "KafkaTopic spec.config.segment.ms", Risk.SAFE),
        (Verb.CREATE, "KafkaTopic", Risk.DATA),
    }
    assert len(kafka.apply().left) == 3
    assert [(one.kind, one.field) for one in kafka.apply(allowed=frozenset({Risk.DATA})).done] == [
        ("KafkaTopic", "")
    ]
    outcome = kafka.apply()
    assert outcome.failed == ()
    assert len(outcome.left) == 2
    assert kafka.told() == unsafe
    assert kafka.apply().done == ()
    assert kafka.apply(allowed=frozenset({Risk.ACCESS})).left == outcome.left[:1]
    assert kafka.told() == {(Verb.ALTER, "KafkaTopic spec.partitions", Risk.ORDER)}


@pytest.mark.slow
def test_what_is_allowed_is_done_and_what_is_for_people_never_is(
    kafka: Environment, somebody: Somebody
) -> None:
    topic, user = kafka.manifest("KafkaTopic", TOPIC), kafka.manifest("KafkaUser", "query-engine")
    somebody.edit(topic, {"spec": {"config": {"retention.ms": -1}, "partitions": 7}})
    somebody.edit(user, {"spec": {"authentication": {"type": "scram-sha-512"}}})
    left = kafka.apply(allowed=frozenset({Risk.ACCESS})).left
    assert sorted(one.field for one in left) == ["spec.config.retention.ms", "spec.partitions"]
    assert [one.field for one in kafka.apply(allowed=EVERYTHING).left] == ["spec.partitions"]
    assert [one.field for one in kafka.changes()] == ["spec.partitions"]


@pytest.mark.slow
def test_partitions_grow_only_where_that_is_allowed(kafka: Environment, somebody: Somebody) -> None:
    somebody.edit(kafka.manifest("KafkaTopic", TOPIC), {"spec": {"partitions": 3}})
    assert [one.risk for one in kafka.apply().left] == [Risk.ORDER]
    assert kafka.apply(allowed=frozenset({Risk.ORDER})).left == ()
    assert kafka.changes() == []


@pytest.mark.slow
def test_a_setting_of_ours_that_must_stay_stays_when_the_catalogue_drops_it(
    api: KubernetesApi, namespace: str
) -> None:
    """The server removes what a manager does not mention any more, so what is left has to be mentioned."""
    (topic,) = [one for one in rendered("production", namespace) if one.name == TOPIC]
    Environment(api, [with_config(topic, **{"retention.ms": -1})]).apply()
    now = Environment(api, [with_config(topic, **{"retention.ms": None, "compression.type": "zstd"})])
    outcome = now.apply()
    assert [one.field for one in outcome.done] == ["spec.config.compression.type"]
    assert [(one.verb, one.field) for one in outcome.left] == [(Verb.DELETE, "spec.config.retention.ms")]
    assert now.found()[topic.key]["spec"]["config"]["retention.ms"] == -1
    assert now.apply(allowed=frozenset({Risk.DATA})).left == ()
    assert "retention.ms" not in now.found()[topic.key]["spec"]["config"]


@pytest.mark.slow
def test_without_force_what_somebody_else_has_set_is_left_to_them(
    kafka: Environment, somebody: Somebody
) -> None:
    somebody.edit(kafka.manifest("KafkaTopic", TOPIC), {"spec": {"config": {"compression.type": "zstd"}}})
    somebody.delete(kafka.manifest("KafkaTopic", "ml.model.events"))
    outcome = kafka.apply(force=False, allowed=frozenset({Risk.DATA}))
    assert [change.name.rpartition("/")[2] for change in outcome.done] == ["ml.model.events"]
    (failure,) = outcome.failed
    assert "spec.config.compression.type is owned by kubectl-edit" in failure.because
    assert failure.change.field == "spec.config.compression.type"


@pytest.mark.slow
def test_what_the_server_refuses_of_one_resource_does_not_keep_others_away(
    api: KubernetesApi, namespace: str
) -> None:
    first, second, *_ = some(rendered("production", namespace), "KafkaTopic")
    broken = replace(first, body={"spec": {"partitons": 3}}, why={})
    made = Environment(api, [broken, second])
    outcome = made.apply()
    assert [change.name for change in outcome.done] == [f"{namespace}/{second.name}"]
    assert "spec.partitons: field not declared in schema" in outcome.failed[0].because


@pytest.mark.slow
def test_a_field_that_must_stay_stays_while_the_rest_of_its_resource_is_repaired(
    kafka: Environment, somebody: Somebody
) -> None:
    pool = kafka.manifest("KafkaNodePool", "controllers")
    volumes = deepcopy(pool["spec"]["storage"]["volumes"])
    volumes[0] |= {"size": "1Ti", "deleteClaim": True}
    somebody.edit(pool, {"spec": {"replicas": 5, "storage": {"volumes": volumes}}})
    outcome = kafka.apply(allowed=EVERYTHING)
    assert [change.field for change in outcome.done] == ["spec.storage.volumes.0.deleteClaim"]
    assert sorted(change.field for change in outcome.left) == ["spec.replicas", "spec.storage.volumes.0.size"]
    (found,) = [one for key, one in kafka.found().items() if key[3] == "controllers"]
    assert found["spec"]["replicas"] == 5
    assert found["spec"]["storage"]["volumes"][0] == {**volumes[0], "deleteClaim": False}


@pytest.mark.slow
def test_what_was_changed_after_it_was_read_is_judged_anew_and_not_written_over(
    kafka: Environment, somebody: Somebody
) -> None:
    topic = kafka.manifest("KafkaTopic", TOPIC)
    somebody.edit(topic, {"spec": {"config": {"compression.type": "zstd"}}})
    found = kafka.found()
    somebody.edit(topic, {"spec": {"partitions": 12}})
    outcome = Told(apply_resources(kafka.api, kafka.wanted, found, allowed=frozenset(), force=True))
    assert [one.field for one in outcome.done] == ["spec.config.compression.type"]
    assert [one.field for one in outcome.left] == ["spec.partitions"]
    assert {one.field for one in kafka.changes()} == {"spec.partitions"}


@pytest.mark.slow
def test_a_status_that_is_written_meanwhile_keeps_nothing_from_being_applied(
    kafka: Environment, somebody: Somebody
) -> None:
    topic = kafka.manifest("KafkaTopic", TOPIC)
    somebody.edit(topic, {"spec": {"config": {"compression.type": "zstd"}}})
    found = kafka.found()
    somebody.set_status(topic, {"observedGeneration": 1, "conditions": []})
    outcome = Told(apply_resources(kafka.api, kafka.wanted, found, allowed=frozenset(), force=True))
    assert [(one.change.field, one.outcome) for one in outcome.every] == [
        ("spec.config.compression.type", Outcome.DONE)
    ]
    assert kafka.changes() == []


@pytest.mark.slow
def test_what_is_gone_meanwhile_is_judged_as_a_creation(kafka: Environment, somebody: Somebody) -> None:
    topic = kafka.manifest("KafkaTopic", TOPIC)
    somebody.edit(topic, {"spec": {"config": {"compression.type": "zstd"}}})
    found = kafka.found()
    somebody.delete(topic)
    outcome = Told(apply_resources(kafka.api, kafka.wanted, found, allowed=frozenset(), force=True))
    assert [(one.change.verb, one.change.field, one.outcome) for one in outcome.every] == [
        (Verb.CREATE, "", Outcome.LEFT)
    ]


class Failing(BaseHTTPRequestHandler):
    """An API that takes one resource, and then is overloaded."""

    taken = 0

    def do_GET(self) -> None:
        kinds = [{"name": "kafkatopics", "kind": "KafkaTopic", "namespaced": True}]
        self._answer(200, {"resources": kinds})

    def do_PATCH(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        type(self).taken += 1
        self._answer(200 if self.taken == 1 else 503, body)

    def _answer(self, code: int, body: object) -> None:
        content = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def failing(tmp_path: Path) -> Iterator[KubernetesApi]:
    Failing.taken = 0
    with HTTPServer(("127.0.0.1", 0), Failing) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        cluster = {"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}
        context = {"name": "x", "context": {"cluster": "c"}}
        file = tmp_path / "kubeconfig"
        file.write_text(
            json.dumps({"clusters": [cluster], "contexts": [context], "users": [], "current-context": "x"})
        )
        try:
            with KubernetesApi.of_kubeconfig(file) as connected:
                yield connected
        finally:
            server.shutdown()
            thread.join()


def test_an_outage_midway_is_told_with_what_was_done_and_what_was_not_tried(failing: KubernetesApi) -> None:
    topics = some(rendered("production", "n"), "KafkaTopic")[:4]
    told = Told(apply_resources(failing, topics, {}, allowed=frozenset(), force=True))
    outcomes = [one.outcome for one in told.every]
    assert outcomes == [Outcome.DONE, Outcome.FAILED, Outcome.LEFT, Outcome.LEFT]
    assert "try again later" in told.failed[0].because
    assert {one.because for one in told.every[2:]} == {NOT_TRIED}
    assert Failing.taken == 2


@pytest.mark.slow
def test_a_policy_that_lets_more_in_is_closed_where_that_is_allowed(
    api: KubernetesApi, somebody: Somebody, namespace: str
) -> None:
    made = Environment(api, some(rendered("production", namespace), "NetworkPolicy"))
    made.apply()
    somebody.edit(made.manifest("NetworkPolicy", "trunkline-services"), {"spec": {"ingress": [{}]}})
    assert made.told() == {(Verb.ALTER, "NetworkPolicy spec.ingress", Risk.ACCESS)}
    assert made.apply().done == ()
    assert made.apply(allowed=frozenset({Risk.ACCESS})).left == ()
    assert made.changes() == []


def test_what_others_need_comes_first() -> None:
    wanted = rendered("production", "n")
    kinds = [key[1] for key in sorted((one.key for one in wanted), key=apply_order)]
    assert kinds.index("ServiceAccount") < kinds.index("Deployment") < kinds.index("ScaledObject")
    assert kinds.index("KafkaNodePool") < kinds.index("Kafka") < kinds.index("KafkaTopic")
    assert kinds.index("TriggerAuthentication") < kinds.index("ScaledObject")
    assert apply_order(("v1", "Namespace", "", "n")) < apply_order(("v1", "ServiceAccount", "n", "a"))


@pytest.mark.slow
def test_what_an_earlier_catalogue_had_set_goes_and_what_others_have_added_stays(
    api: KubernetesApi, somebody: Somebody, namespace: str
) -> None:
    (audit,) = [
        one for one in rendered("production", namespace) if one.key[1::2] == ("Deployment", "audit-service")
    ]
    earlier = audit.manifest()
    container = earlier["spec"]["template"]["spec"]["containers"][0]
    container["env"] = [*container.get("env", []), {"name": "OLD", "value": "1"}]
    earlier["metadata"]["labels"]["old"] = "1"
    api.apply(earlier)
    theirs = {"spec": {"template": {"metadata": {"annotations": {"restartedAt": "today"}}}}}
    somebody.edit(earlier, theirs)
    made = Environment(api, [audit])
    env = f"spec.template.spec.containers.{container['name']}.env"
    assert [(one.verb, one.field) for one in made.changes()] == [
        (Verb.DELETE, "metadata.labels.old"),
        (Verb.DELETE, env if len(container["env"]) == 1 else f"{env}.OLD"),
    ]
    assert made.apply(force=False).failed == ()
    assert made.changes() == []
    (found,) = made.found().values()
    assert found["spec"]["template"]["metadata"]["annotations"]["restartedAt"] == "today"
    assert "OLD" not in str(found["spec"])
