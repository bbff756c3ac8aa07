"""Manifests as they are in files: a file, a directory as `trunkline render` writes it, or standard input."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TextIO, TypeAlias

import yaml

from trunkline.errors import InvalidInput

Key: TypeAlias = tuple[str, str, str, str]
"""What a resource is told apart by: API version, kind, namespace, name."""

Manifest: TypeAlias = Mapping[str, Any]
"""A resource as the Kubernetes API gives and takes it."""

STANDARD_INPUT: Final = "-"
KUSTOMIZATION: Final = "kustomization.yaml"
SUFFIXES: Final = (".yaml", ".yml")

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_BUNDLE_KEYS: Final = frozenset({"apiVersion", "kind", "resources"})


def key_of(manifest: Manifest) -> Key:
    """Of a manifest that has a kind and a name."""
    metadata = manifest["metadata"]
    return manifest["apiVersion"], manifest["kind"], metadata.get("namespace") or "", metadata["name"]


def read_manifests(source: str, *, stdin: TextIO) -> dict[Key, Manifest]:
    """All resources of a YAML file, of a directory, or of `stdin` for `-`.

    A directory with a `kustomization.yaml` is an overlay: its `resources` are followed, and nothing else of
    Kustomize is understood, because `trunkline render` writes nothing else. Any other directory is read with
    all YAML files below it. Raises `InvalidInput` with file and line for what is no resource, or is there
    twice.
    """
    found: dict[Key, Manifest] = {}
    places: dict[Key, str] = {}
    for place, manifest in _documents(source, stdin):
        key = key_of(manifest)
        if key in found:
            raise InvalidInput(f"{place}: {key[1]} {key[3]} is there twice, at {places[key]} as well")
        found[key], places[key] = manifest, place
    return found


def _documents(source: str, stdin: TextIO) -> Iterator[tuple[str, Manifest]]:
    if source == STANDARD_INPUT:
        try:
            text = stdin.read()
        except UnicodeDecodeError as error:
            raise InvalidInput(f"standard input: cannot be read: {error}") from error
        yield from _parsed(text, "standard input")
        return
    for file in _files(Path(source), ()):
        yield from _parsed(_text(file), str(file))


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{file}: cannot be read: {error}") from error


def _files(path: Path, above: tuple[Path, ...]) -> Iterator[Path]:
    if path.is_file():
        yield path
    elif (path / KUSTOMIZATION).is_file():
        if path.resolve() in above:
            raise InvalidInput(f"{path / KUSTOMIZATION}: leads back to itself")
        for name in _bundled(path / KUSTOMIZATION):
            yield from _files(path / name, (*above, path.resolve()))
    elif path.is_dir():
        yield from sorted(file for file in path.rglob("*") if file.suffix in SUFFIXES and file.is_file())
    else:
        raise InvalidInput(f"{path}: there is no such file or directory")


def _bundled(file: Path) -> list[str]:
    """What a kustomization lists. Raises `InvalidInput` for one that changes what it lists."""
    documents = _loaded(_text(file), str(file)) or [(str(file), {})]
    if len(documents) > 1:
        raise InvalidInput(f"{documents[1][0]}: a kustomization is one document; put this into another file")
    ((place, document),) = documents
    if not isinstance(document, dict) or not isinstance(document.get("resources"), list):
        raise InvalidInput(f"{place}: a kustomization needs a list of resources")
    if unknown := sorted(set(document) - _BUNDLE_KEYS):
        raise InvalidInput(
            f"{place}: {unknown[0]} is not understood here; "
            f"build it with `kubectl kustomize {file.parent}` and give the result as `-`"
        )
    return [str(name) for name in document["resources"]]


def _parsed(text: str, file: str) -> Iterator[tuple[str, Manifest]]:
    for place, document in _loaded(text, file):
        if document is None:
            continue
        if not isinstance(document, dict) or not isinstance(document.get("metadata"), dict):
            raise InvalidInput(f"{place}: no Kubernetes resource: it needs apiVersion, kind and metadata")
        for name, value in (
            *((field, document.get(field)) for field in ("apiVersion", "kind")),
            ("metadata.name", document["metadata"].get("name")),
        ):
            if not isinstance(value, str) or not value:
                raise InvalidInput(f"{place}: no Kubernetes resource: {name} must be a text")
        for name in ("labels", "annotations"):
            if not isinstance(document["metadata"].get(name) or {}, dict):
                raise InvalidInput(f"{place}: no Kubernetes resource: metadata.{name} must be a mapping")
        yield place, document


def _repeated(node: yaml.Node, seen: set[int]) -> Iterator[yaml.ScalarNode]:
    """Keys that a mapping has already. An alias leads to a node that was seen, maybe around it."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _repeated(item, seen)
    elif isinstance(node, yaml.MappingNode):
        keys: set[str] = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in keys:
                    yield key
                keys.add(key.value)
            yield from _repeated(value, seen)


def _as_json(document: Any) -> Any:
    """As the API would be given it: keys are texts, and so is what YAML takes for a date."""
    return json.loads(json.dumps(document, default=str))


def _loaded(text: str, file: str) -> list[tuple[str, Any]]:
    """Each document with where it begins, as `file:line`."""
    loader = _LOADER(text)
    found = []
    try:
        while loader.check_node():
            node = loader.get_node()
            assert node is not None, "there is one"
            if twice := next(_repeated(node, set()), None):
                line = twice.start_mark.line + 1
                raise InvalidInput(
                    f"{file}:{line}: {twice.value} is there twice; the API keeps the last only"
                )
            found.append((f"{file}:{node.start_mark.line + 1}", _as_json(loader.construct_document(node))))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = "" if mark is None else f":{mark.line + 1}"
        raise InvalidInput(f"{file}{line}: no YAML: {error.problem}") from error
    except (yaml.YAMLError, TypeError, ValueError) as error:
        raise InvalidInput(f"{file}: no YAML: {' '.join(str(error).split())}") from error
    finally:
        loader.dispose()
    return found
