"""The client of a Kubernetes API, against a real one: strict, and with errors that say what to do."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from trunkline.errors import InvalidInput, TrunklineError
from trunkline.operate import kubernetes
from trunkline.operate.kubernetes import KubernetesApi
from trunkline.operate.kubernetes_errors import (
    KindMissing,
    KubernetesConflict,
    KubernetesFailed,
    KubernetesForbidden,
    KubernetesRefused,
    KubernetesUnavailable,
)
from trunkline.operate.manifests import key_of
from trunkline.testing.consuming import eventually
from trunkline.testing.kube_api import GUEST, KubernetesServer
from trunkline.testing.kube_people import Somebody

STRIMZI = "kafka.strimzi.io/v1"

slow = pytest.mark.slow


def topic(namespace: str, name: str = "t", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": STRIMZI,
        "kind": "KafkaTopic",
        "metadata": {"name": name, "namespace": namespace, "labels": {"strimzi.io/cluster": "c"}},
        "spec": {"partitions": 3, **spec},
    }


@pytest.fixture
def guest(kubernetes_server: KubernetesServer) -> Iterator[KubernetesApi]:
    """Somebody without any rights."""
    with KubernetesApi.of_kubeconfig(kubernetes_server.kubeconfig(GUEST)) as connected:
        yield connected


@slow
def test_what_is_applied_is_read_and_listed(api: KubernetesApi, namespace: str) -> None:
    wanted = [topic(namespace, name) for name in ("a", "b", "c")]
    for one in wanted:
        assert api.apply(one)["metadata"]["generation"] == 1
    keys = [key_of(one) for one in wanted]
    missing = (STRIMZI, "KafkaTopic", namespace, "missing")
    found = api.read([*keys[:2], missing, (STRIMZI, "KafkaUser", namespace, "a")])
    assert sorted(found) == keys[:2]
    assert found[keys[0]]["spec"] == {"partitions": 3}
    place = (STRIMZI, "KafkaTopic", namespace)
    assert sorted(api.listed([place], {"strimzi.io/cluster": "c"})) == keys
    assert api.listed([place], {"strimzi.io/cluster": "other"}) == {}
    everywhere = api.listed([(STRIMZI, "KafkaTopic", "")], {"strimzi.io/cluster": "c"})
    assert set(keys) <= set(everywhere)


@slow
def test_long_lists_come_in_pages(
    api: KubernetesApi, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kubernetes, "PAGE", 2)
    for number in range(5):
        api.apply(topic(namespace, f"t{number}"))
    assert len(api.listed([(STRIMZI, "KafkaTopic", namespace)], {})) == 5


@slow
@pytest.mark.parametrize(
    ("spec", "field"),
    [({"partitons": 3}, "spec.partitons"), ({"partitions": "three"}, "spec.partitions")],
)
def test_a_field_that_is_unknown_or_of_another_type_is_refused(
    api: KubernetesApi, namespace: str, spec: dict[str, Any], field: str
) -> None:
    with pytest.raises(KubernetesRefused) as refused:
        api.apply(topic(namespace, **spec))
    assert refused.value.fields == (field,)
    assert str(refused.value).startswith(f"KafkaTopic t: the Kubernetes API refuses it: {field}: ")


@slow
def test_an_unknown_field_of_a_built_in_kind_is_refused_too(api: KubernetesApi, namespace: str) -> None:
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "p", "namespace": namespace},
        "spec": {"podSelector": {}, "ingres": []},
    }
    with pytest.raises(
        KubernetesRefused, match=r"NetworkPolicy p: .*: spec.ingres: field not declared in schema"
    ):
        api.apply(policy)


@slow
def test_a_merge_refuses_unknown_fields_too(api: KubernetesApi, namespace: str) -> None:
    there = api.apply(topic(namespace))
    with pytest.raises(KubernetesRefused, match=r'unknown field "spec.partitons"'):
        api.merge(there, {"spec": {"partitons": 3}})


@slow
def test_a_value_out_of_bounds_is_refused_with_the_server_s_words(api: KubernetesApi, namespace: str) -> None:
    with pytest.raises(KubernetesRefused, match=r"greater than or equal to 1") as refused:
        api.apply(topic(namespace, partitions=0))
    assert refused.value.fields == ("spec.partitions",)


@slow
def test_a_cel_rule_is_evaluated(api: KubernetesApi, namespace: str) -> None:
    user = {
        "apiVersion": STRIMZI,
        "kind": "KafkaUser",
        "metadata": {"name": "u", "namespace": namespace},
        "spec": {"authentication": {"type": "scram-sha-512", "validityDays": 30, "renewalDays": 10}},
    }
    with pytest.raises(KubernetesRefused, match="can be configured only with 'type: tls'") as refused:
        api.apply(user)
    assert refused.value.fields == ("spec.authentication",)


@slow
def test_another_manager_s_field_is_a_conflict_until_it_is_taken_over(
    api: KubernetesApi, somebody: Somebody, namespace: str
) -> None:
    api.apply(topic(namespace, config={"retention.ms": 5}))
    somebody.edit(topic(namespace), {"spec": {"config": {"retention.ms": 7}}})
    with pytest.raises(KubernetesConflict) as conflict:
        api.apply(topic(namespace, config={"retention.ms": 5}))
    assert conflict.value.owners == {"spec.config.retention.ms": "kubectl-edit"}
    taken = api.apply(topic(namespace, config={"retention.ms": 5}), force=True)
    assert taken["spec"]["config"] == {"retention.ms": 5}


@slow
def test_a_field_that_is_no_longer_in_the_manifest_goes(api: KubernetesApi, namespace: str) -> None:
    api.apply(topic(namespace, config={"retention.ms": 5, "segment.ms": 6}))
    assert api.apply(topic(namespace, config={"retention.ms": 5}))["spec"]["config"] == {"retention.ms": 5}


@slow
def test_nothing_is_written_over_what_was_changed_since(
    api: KubernetesApi, somebody: Somebody, namespace: str
) -> None:
    seen = api.apply(topic(namespace))
    somebody.edit(topic(namespace), {"spec": {"partitions": 9}})
    stale = topic(namespace)
    stale["metadata"]["resourceVersion"] = seen["metadata"]["resourceVersion"]
    with pytest.raises(KubernetesFailed, match="KafkaTopic t: it has been changed meanwhile"):
        api.apply(stale, force=True)
    with pytest.raises(KubernetesFailed, match="KafkaTopic t: it has been changed meanwhile"):
        api.merge(seen, {"spec": {"partitions": None}})


@slow
def test_a_missing_namespace_is_named(api: KubernetesApi) -> None:
    with pytest.raises(
        KubernetesFailed, match="KafkaTopic t: there is no namespace nowhere; create it first"
    ):
        api.apply(topic("nowhere"))


@slow
@pytest.mark.parametrize("kind", [("kafka.strimzi.io/v1beta2", "KafkaTopic"), (STRIMZI, "KafkaGroup")])
def test_a_kind_that_is_not_installed_says_what_to_install(api: KubernetesApi, kind: tuple[str, str]) -> None:
    with pytest.raises(
        KindMissing, match=r"does not know \w+ \(kafka.strimzi.io/.*; install Strimzi 1.2 first"
    ):
        api.read([(*kind, "n", "x")])


@slow
def test_without_rights_the_missing_verb_is_named(guest: KubernetesApi, namespace: str) -> None:
    with pytest.raises(
        KubernetesForbidden, match=r'grant the verb "list" on kafkatopics.kafka.strimzi.io'
    ) as listing:
        guest.read([(STRIMZI, "KafkaTopic", namespace, "t")])
    assert listing.value.namespace == namespace
    with pytest.raises(KubernetesForbidden, match='grant the verb "patch"'):
        guest.apply(topic(namespace))


@slow
def test_creating_needs_a_right_of_its_own(
    api: KubernetesApi, guest: KubernetesApi, somebody: Somebody, namespace: str
) -> None:
    somebody.grant(GUEST, namespace, "kafkatopics", ["list", "patch"])
    eventually(lambda: _may_list(guest, namespace))
    with pytest.raises(KubernetesForbidden, match="cannot create resource") as creating:
        guest.apply(topic(namespace))
    assert creating.value.verb == "create"
    api.apply(topic(namespace))
    assert guest.apply(topic(namespace, replicas=1), force=True)["spec"]["replicas"] == 1


@slow
def test_a_token_that_is_not_known_is_not_accepted(kubernetes_server: KubernetesServer) -> None:
    with (
        KubernetesApi.of_kubeconfig(kubernetes_server.kubeconfig("stranger")) as stranger,
        pytest.raises(KubernetesFailed, match="does not accept the credentials"),
    ):
        stranger.read([(STRIMZI, "KafkaTopic", "n", "t")])


@slow
@pytest.mark.parametrize("version", ["v1beta1", "v1"])
def test_a_plugin_gives_the_token(
    kubernetes_server: KubernetesServer, tmp_path: Path, namespace: str, version: str
) -> None:
    config = json.loads(kubernetes_server.kubeconfig().read_text())
    token = config["users"][0]["user"].pop("token")
    answer = json.dumps({"apiVersion": "x", "kind": "ExecCredential", "status": {"token": token}})
    config["users"][0]["user"]["exec"] = {
        "apiVersion": f"client.authentication.k8s.io/{version}",
        "command": "echo",
        "args": [answer],
    }
    file = tmp_path / "config"
    file.write_text(json.dumps(config))
    with KubernetesApi.of_kubeconfig(file) as connected:
        assert connected.read([(STRIMZI, "KafkaTopic", namespace, "t")]) == {}


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (["sh", "-c", "echo expired >&2; exit 3"], "returned 3: expired"),
        (["/nowhere/plugin"], "No such file or directory"),
        (["echo", "hello"], "Expecting value"),
        (["echo", "{}"], "status"),
    ],
)
def test_a_plugin_that_gives_no_token_says_why(tmp_path: Path, command: list[str], told: str) -> None:
    plugin = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": command[0],
        "args": command[1:],
    }
    with (
        KubernetesApi.of_kubeconfig(kubeconfig(tmp_path, exec=plugin)) as connected,
        pytest.raises(TrunklineError, match=rf"no credentials for context x: .*{told}"),
    ):
        connected.read([(STRIMZI, "KafkaTopic", "n", "t")])


@slow
def test_a_pod_is_known_by_its_service_account(
    kubernetes_server: KubernetesServer, tmp_path: Path, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text(kubernetes_server.token())
    (tmp_path / "namespace").write_text(namespace)
    (tmp_path / "ca.crt").write_bytes(kubernetes_server.certificate.read_bytes())
    host, _, port = kubernetes_server.url.removeprefix("https://").partition(":")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", port)
    with KubernetesApi.in_cluster(account=tmp_path) as connected:
        assert connected.apply(topic(namespace))["metadata"]["generation"] == 1


@slow
def test_a_server_that_cannot_prove_itself_is_not_talked_to(
    kubernetes_server: KubernetesServer, tmp_path: Path
) -> None:
    config = json.loads(kubernetes_server.kubeconfig().read_text())
    del config["clusters"][0]["cluster"]["certificate-authority"]
    (tmp_path / "config").write_text(json.dumps(config))
    with (
        KubernetesApi.of_kubeconfig(tmp_path / "config") as connected,
        pytest.raises(KubernetesUnavailable, match=r"cannot be reached: .*certificate"),
    ):
        connected.read([(STRIMZI, "KafkaTopic", "n", "t")])


def _may_list(guest: KubernetesApi, namespace: str) -> bool:
    try:
        guest.listed([(STRIMZI, "KafkaTopic", namespace)], {})
    except KubernetesForbidden:
        return False
    return True


def kubeconfig(directory: Path, **user: Any) -> Path:
    config = {
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:9"}}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    file = directory / "config"
    file.write_text(json.dumps(config))
    return file


def test_where_nobody_listens_the_api_is_unavailable(tmp_path: Path) -> None:
    with (
        KubernetesApi.of_kubeconfig(kubeconfig(tmp_path, token="t")) as connected,
        pytest.raises(
            KubernetesUnavailable, match=r"the Kubernetes API at http://127.0.0.1:9 cannot be reached"
        ),
    ):
        connected.read([(STRIMZI, "KafkaTopic", "n", "t")])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "kubeconfig .*config: "),
        ("[1", "kubeconfig .*config: "),
        ("clusters: 5\n", "kubeconfig .*config: "),
        ("[1, 2]\n", "kubeconfig .*config: "),
        ("clusters: []\ncontexts: []\n", "No current context set"),
        ("clusters: []\ncontexts: []\ncurrent-context: gone\n", "Context 'gone' not found"),
        (
            "clusters: []\ncontexts: [{name: x, context: {cluster: y}}]\ncurrent-context: x\n",
            "kubeconfig .*: .*y",
        ),
    ],
)
def test_a_kubeconfig_that_is_none_is_refused(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "config").write_text(text)
    with pytest.raises(InvalidInput, match=told) as refused:
        KubernetesApi.of_kubeconfig(tmp_path / "config")
    assert "\n" not in str(refused.value)


def test_a_kubeconfig_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"kubeconfig .*nowhere: .*not found"):
        KubernetesApi.of_kubeconfig(tmp_path / "nowhere")


def test_a_context_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="Context 'other' not found"):
        KubernetesApi.of_kubeconfig(kubeconfig(tmp_path), context="other")


@pytest.mark.parametrize(
    "user",
    [
        {"client-certificate": "/nowhere.crt", "client-key": "/nowhere.key"},
        {"client-certificate-data": "%%%", "client-key-data": "bm9uZQ=="},
        {"auth-provider": {"name": "gcp"}},
    ],
)
def test_credentials_that_cannot_be_used_are_refused(tmp_path: Path, user: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="context x cannot be used: "):
        KubernetesApi.of_kubeconfig(kubeconfig(tmp_path, **user))


@pytest.mark.parametrize(
    ("server", "told"),
    [
        ("http://127.0.0.1:port", "context x cannot be used: Invalid port"),
        ("nowhere", "the Kubernetes API at nowhere cannot be reached"),
    ],
)
def test_an_address_that_is_none_is_told(tmp_path: Path, server: str, told: str) -> None:
    config = json.loads(kubeconfig(tmp_path, token="t").read_text())
    config["clusters"][0]["cluster"]["server"] = server
    (tmp_path / "config").write_text(json.dumps(config))
    with (
        pytest.raises(TrunklineError, match=told),
        KubernetesApi.of_kubeconfig(tmp_path / "config") as connected,
    ):
        connected.read([(STRIMZI, "KafkaTopic", "n", "t")])


def test_a_context_without_a_user_is_anonymous(tmp_path: Path) -> None:
    config = json.loads(kubeconfig(tmp_path).read_text())
    del config["contexts"][0]["context"]["user"]
    (tmp_path / "config").write_text(json.dumps(config))
    with KubernetesApi.of_kubeconfig(tmp_path / "config") as connected:
        assert connected.context == "x"


def test_outside_of_a_pod_there_is_no_service_account() -> None:
    with pytest.raises(InvalidInput, match="this is no pod with a service account: "):
        KubernetesApi.in_cluster()
