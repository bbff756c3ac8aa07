"""A catalogue of one's own reaches the pods, and another text of it restarts them."""

import yaml

from trunkline.catalogue.load import load_catalogue
from trunkline.deploy.own_catalogue import carrying
from trunkline.deploy.resource import Resource
from trunkline.deploy.workloads import workloads
from trunkline.testing.clusters import a_cluster


def carried(source: str) -> list[Resource]:
    cluster = a_cluster()
    return list(carrying(workloads(load_catalogue(), "production", cluster), source, cluster))


def test_every_deployment_reads_the_file_that_the_config_map_is_mounted_as() -> None:
    made = carried("topics: {}\n")
    (config_map,) = [one for one in made if one.kind == "ConfigMap"]
    assert config_map.body["data"] == {"catalogue.yaml": "topics: {}\n"}
    found = [one for one in made if one.kind == "Deployment"]
    assert len(found) == len(load_catalogue().services) + 1
    for one in found:
        pod = one.body["spec"]["template"]["spec"]
        assert {"name": "catalogue", "configMap": {"name": config_map.name}} in pod["volumes"]
        (mount,) = [mount for mount in pod["containers"][0]["volumeMounts"] if mount["name"] == "catalogue"]
        (variable,) = [one for one in pod["containers"][0]["env"] if one["name"] == "TRUNKLINE_CATALOGUE"]
        assert variable["value"] == f"{mount['mountPath']}/catalogue.yaml"


def test_another_text_is_another_config_map() -> None:
    names = {one.name for text in ("a: 1\n", "a: 2\n") for one in carried(text) if one.kind == "ConfigMap"}
    assert len(names) == 2


def test_nothing_else_changes() -> None:
    plain = [
        one for one in workloads(load_catalogue(), "production", a_cluster()) if one.kind != "Deployment"
    ]
    kept = [one for one in carried("a: 1\n") if one.kind not in ("Deployment", "ConfigMap")]
    assert yaml.safe_dump([one.manifest() for one in kept]) == yaml.safe_dump(
        [one.manifest() for one in plain]
    )
