"""Resources as YAML: the same bytes for the same resources, sorted, with comments where they say why."""

from collections.abc import Iterable, Mapping
from io import StringIO
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.scalarstring import DoubleQuotedScalarString, LiteralScalarString
from yaml import ScalarNode
from yaml.resolver import Resolver

from trunkline.deploy.resource import Field, Resource

INDENT: Final = 2
WIDTH: Final = 4096
"""Of a line. Long values, such as PromQL, stay on theirs: what is folded is hard to compare."""

FIRST: Final = (
    *("apiVersion", "kind", "metadata"),
    *("alert", "expr", "for"),
    *("name", "namespace", "labels", "annotations"),
)
"""Keys that come before the others, which are sorted: as people write them in a manifest and in an alert."""

_RESOLVER: Final = Resolver()
_STRING: Final = "tag:yaml.org,2002:str"


def documents(resources: Iterable[Resource]) -> str:
    """One YAML stream of all resources, sorted by kind and name."""
    return "---\n".join(document(resource) for resource in sorted(resources, key=_order))


def document(resource: Resource) -> str:
    """One YAML document. Raises `ValueError` for a comment on a field that the resource does not have."""
    unused = set(resource.why)
    tree = _tree(resource.manifest(), (), resource.why, unused)
    if unused:
        raise ValueError(f"{resource.kind} {resource.name}: comments on fields it does not have: {unused}")
    out = StringIO()
    _writer().dump(tree, out)
    return out.getvalue()


def _order(resource: Resource) -> tuple[str, str, str]:
    return resource.kind, resource.namespace or "", resource.name


def _tree(value: Any, at: Field, why: Mapping[Field, str], unused: set[Field]) -> Any:
    if isinstance(value, dict):
        made = CommentedMap()
        for name in sorted(value, key=_rank):
            made[_text(name)] = _tree(value[name], (*at, name), why, unused)
            reason = why.get((*at, name))
            if reason is not None:
                unused.discard((*at, name))
                made.yaml_set_comment_before_after_key(name, before=reason, indent=INDENT * _depth(at))
        return made
    if isinstance(value, list):
        return CommentedSeq(_tree(inner, (*at, place), why, unused) for place, inner in enumerate(value))
    return _text(value) if isinstance(value, str) else value


def _text(value: str) -> Any:
    """Quoted where a reader would take it for something else: YAML 1.1 has `yes`, `on` and `0x10` besides."""
    if "\n" in value:
        return LiteralScalarString(value)
    if _RESOLVER.resolve(ScalarNode, value, (True, False)) != _STRING:  # type: ignore[no-untyped-call]
        return DoubleQuotedScalarString(value)
    return value


def _rank(name: str) -> tuple[int, str]:
    return (FIRST.index(name), "") if name in FIRST else (len(FIRST), name)


def _depth(at: Field) -> int:
    """How far a field's lines are indented: the items of a list stand at the dash of their list."""
    return len(at)


def _writer() -> YAML:
    yaml = YAML()
    yaml.indent(mapping=INDENT, sequence=INDENT + 2, offset=INDENT)
    yaml.width = WIDTH
    yaml.default_flow_style = False
    return yaml
