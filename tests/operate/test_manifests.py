"""Manifests are read from files, from rendered directories and from standard input, and errors say where."""

import io
from pathlib import Path

import pytest

from trunkline.catalogue.load import load_catalogue
from trunkline.deploy.rendering import render, resources, stream
from trunkline.errors import InvalidInput
from trunkline.operate.manifests import key_of, read_manifests

TOPIC = "apiVersion: kafka.strimzi.io/v1\nkind: KafkaTopic\nmetadata:\n  name: {name}\nspec: {{}}\n"
NOBODY = io.StringIO()


def written(directory: Path, **files: str) -> Path:
    for name, text in files.items():
        (directory / f"{name}.yaml").write_text(text)
    return directory


@pytest.mark.parametrize("environment", ["development", "production"])
def test_a_rendered_overlay_gives_all_resources_of_its_environment(tmp_path: Path, environment: str) -> None:
    catalogue = load_catalogue()
    for path, text in render(catalogue, environment).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    found = read_manifests(str(tmp_path / "overlays" / environment), stdin=NOBODY)
    wanted = {one.key: one.manifest() for one in resources(catalogue, environment)}
    assert found == wanted


def test_standard_input_holds_a_stream_of_documents() -> None:
    catalogue = load_catalogue()
    found = read_manifests("-", stdin=io.StringIO(stream(catalogue, "development")))
    assert set(found) == {one.key for one in resources(catalogue, "development")}


def test_a_directory_without_a_kustomization_is_read_with_all_below_it(tmp_path: Path) -> None:
    written(tmp_path, one=TOPIC.format(name="one"))
    (tmp_path / "inner").mkdir()
    written(tmp_path / "inner", two=f"---\n{TOPIC.format(name='two')}---\n---\n{TOPIC.format(name='three')}")
    (tmp_path / "README.md").write_text("not for us")
    assert sorted(key[3] for key in read_manifests(str(tmp_path), stdin=NOBODY)) == ["one", "three", "two"]


def test_a_namespace_is_part_of_the_key_and_may_be_missing() -> None:
    manifest = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}}
    assert key_of(manifest) == ("v1", "Service", "", "a")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: [1,\nb: 2\n", r"one.yaml:3: no YAML"),
        ("a: 1\n---\n- 1\n", r"one.yaml:1: no Kubernetes resource: it needs apiVersion, kind and metadata"),
        (TOPIC.format(name="a") + "---\n[1]\n", r"one.yaml:7: no Kubernetes resource"),
        (TOPIC.format(name="7"), r"one.yaml:1: no Kubernetes resource: metadata.name must be a text"),
        (TOPIC.format(name="a").replace("KafkaTopic", "''"), r"one.yaml:1: .*: kind must be a text"),
        (
            TOPIC.format(name="a") + "---\n" + TOPIC.format(name="a"),
            r"one.yaml:7: KafkaTopic a is there twice, at .*:1",
        ),
        (TOPIC.format(name="a") + "spec: {}\n", r"one.yaml:6: spec is there twice"),
        ("a: \t- !!python/object:os.system 1\n", r"one.yaml:1: no YAML"),
        ("a: !!python/object:os.system 1\n", r"one.yaml:1: no YAML"),
        ("a: \x00", r"one.yaml: no YAML"),
        ("2020-01-01: x\n", r"one.yaml: no YAML"),
        ("a: &a [*a]\n", r"one.yaml: no YAML"),
        (TOPIC.format(name="a\n  labels: [x]"), r"one.yaml:1: .*: metadata.labels must be a mapping"),
    ],
)
def test_what_is_no_manifest_is_refused_with_its_line(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        read_manifests(str(written(tmp_path, one=text)), stdin=NOBODY)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("resources: [nothing.yaml]\n", "nothing.yaml: there is no such file or directory"),
        (
            "resources: [one.yaml]\nnamePrefix: x-\n",
            r"kustomization.yaml:1: namePrefix is not understood here; build",
        ),
        ("kind: Kustomization\n", r"kustomization.yaml:1: a kustomization needs a list of resources"),
        ("", r"kustomization.yaml: a kustomization needs a list of resources"),
        (
            "resources: [one.yaml]\n---\nresources: []\n",
            r"kustomization.yaml:3: a kustomization is one document",
        ),
        ("resources: [.]\n", r"kustomization.yaml: leads back to itself"),
    ],
)
def test_a_kustomization_that_does_more_than_list_is_refused(tmp_path: Path, text: str, told: str) -> None:
    written(tmp_path, kustomization=text, one=TOPIC.format(name="one"))
    with pytest.raises(InvalidInput, match=told):
        read_manifests(str(tmp_path), stdin=NOBODY)


def test_a_path_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="nowhere: there is no such file or directory"):
        read_manifests(str(tmp_path / "nowhere"), stdin=NOBODY)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidInput, match=r"one.yaml: cannot be read"):
        read_manifests(str(tmp_path), stdin=NOBODY)


def test_a_kustomization_and_a_standard_input_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "kustomization.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidInput, match=r"kustomization.yaml: cannot be read"):
        read_manifests(str(tmp_path), stdin=NOBODY)
    with pytest.raises(InvalidInput, match="standard input: cannot be read"):
        read_manifests("-", stdin=io.TextIOWrapper(io.BytesIO(b"\xff\xfe"), encoding="utf-8"))
