"""Reads YAML nodes and notes what is wrong with each, with its line, instead of stopping at the first.

Nodes rather than dictionaries: they keep their lines, and they keep a key that is written twice, which a
dictionary would silently drop.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode

from trunkline.catalogue.model import near
from trunkline.catalogue.problems import CatalogueError, Problem

COUNT_MAX: Final = 2_147_483_647
"""Kafka's largest int32; every count in a catalogue ends up in one."""

DEPTH_MAX: Final = 20
"""A catalogue nests four deep; composing a hostile file deeper than this would exhaust the stack."""

_TEXT_TAG: Final = "tag:yaml.org,2002:str"
_INTEGER_TAG: Final = "tag:yaml.org,2002:int"
_FLOAT_TAG: Final = "tag:yaml.org,2002:float"
_BOOLEAN_TAG: Final = "tag:yaml.org,2002:bool"
_BOOLEANS: Final[Mapping[str, bool]] = {"true": True, "false": False}
_INTEGER: Final = re.compile(r"[+-]?[0-9]+(?:_[0-9]+)*")


@dataclass(frozen=True, slots=True)
class Entry:
    """A name and what stands under it, each with its own place in the file."""

    name: ScalarNode
    value: Node


class NodeReader:
    """Reads one file. Each method returns what the node says, or None after noting a problem."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._problems: list[Problem] = []

    def compose(self, text: str) -> MappingNode:
        """The root mapping. Raises `CatalogueError` where there is none to read further."""
        try:
            self._refuse_depth(text)
            root = yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            self.note(mark.line + 1 if mark else 1, f"not YAML: {error.problem or error.context}")
        except yaml.YAMLError as error:
            self.note(1, f"not YAML: {' '.join(str(error).split())}")
        else:
            if isinstance(root, MappingNode):
                return root
            self.note(1, "a catalogue is a mapping of services, environments and topics")
        raise CatalogueError(self._problems)

    def finish(self) -> None:
        """Raises `CatalogueError` if anything was noted."""
        if self._problems:
            raise CatalogueError(sorted(self._problems, key=lambda problem: problem.line))

    def note(self, line: int, message: str) -> None:
        """Notes a problem at a line."""
        self._problems.append(Problem(self._file, line, message))

    def at(self, node: Node, message: str) -> None:
        """Notes a problem where the node begins."""
        self.note(node.start_mark.line + 1, message)

    def mapping(
        self,
        node: Node,
        where: str,
        *,
        allowed: Sequence[str],
        required: Sequence[str] = (),
        name: Node | None = None,
    ) -> Mapping[str, Node] | None:
        """The values under allowed keys, after noting unknown, repeated and missing ones.

        A missing key is noted at the name that the mapping stands under, where there is one.
        """
        if not isinstance(node, MappingNode):
            self.at(node, f"{where} must be a mapping of {', '.join(allowed)}")
            return None
        entries = self.entries(node, where)
        for key_node, _ in node.value:
            if isinstance(key_node, ScalarNode) and key_node.value not in allowed:
                hint = near(key_node.value, allowed) or f"; known are {', '.join(allowed)}"
                self.at(key_node, f"{where} has an unknown key {key_node.value!r}{hint}")
        for key in required:
            if key not in entries:
                self.at(node if name is None else name, f"{where} has no {key}")
        return {key: entry.value for key, entry in entries.items() if key in allowed}

    def entries(self, node: MappingNode, where: str) -> Mapping[str, Entry]:
        """Every entry by key; of a key written twice the first counts and the second is a problem."""
        found: dict[str, Entry] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, ScalarNode):
                self.at(key_node, f"{where} has a key that is not a name")
            elif key_node.value in found:
                self.at(key_node, f"{where} has {key_node.value!r} twice")
            else:
                found[key_node.value] = Entry(key_node, value_node)
        return found

    def text(self, node: Node, where: str) -> str | None:
        """A scalar that YAML reads as text and that is not blank."""
        if isinstance(node, ScalarNode) and node.tag == _TEXT_TAG and node.value.strip():
            return str(node.value)
        self.at(node, f"{where} must be a text")
        return None

    def positive(self, node: Node, where: str) -> int | None:
        """A decimal whole number from 1 to `COUNT_MAX`."""
        return self.whole(node, where, least=1)

    def whole(self, node: Node, where: str, *, least: int) -> int | None:
        """A decimal whole number from `least` to `COUNT_MAX`."""
        if not isinstance(node, ScalarNode) or node.tag != _INTEGER_TAG or not _INTEGER.fullmatch(node.value):
            shown = repr(node.value) if isinstance(node, ScalarNode) else "something else"
            self.at(node, f"{where} must be a whole number, not {shown}")
            return None
        value = int(node.value)
        if value < least:
            self.at(node, f"{where} must be at least {least}, not {value}")
            return None
        if value > COUNT_MAX:
            self.at(node, f"{where} must be at most {COUNT_MAX}, not {value}")
            return None
        return value

    def boolean(self, node: Node, where: str) -> bool | None:
        """`true` or `false`; the other words that YAML 1.1 has for them are not taken."""
        if isinstance(node, ScalarNode) and node.tag == _BOOLEAN_TAG and node.value in _BOOLEANS:
            return _BOOLEANS[node.value]
        self.at(node, f"{where} must be true or false")
        return None

    def scalar(self, node: Node, where: str) -> str | int | bool | None:
        """A whole number, true, false or a text; any other number as it is written."""
        if isinstance(node, ScalarNode):
            if node.tag == _BOOLEAN_TAG:
                return self.boolean(node, where)
            if node.tag == _INTEGER_TAG and _INTEGER.fullmatch(node.value):
                return int(node.value)
            if node.tag in (_TEXT_TAG, _FLOAT_TAG) and node.value.strip():
                return str(node.value)
        self.at(node, f"{where} must be a number, true, false or a text")
        return None

    def choice(self, node: Node, where: str, allowed: Sequence[str]) -> str | None:
        """A text that is one of those allowed."""
        name = self.text(node, where)
        if name is None or name in allowed:
            return name
        hint = near(name, allowed) or f"; known are {', '.join(allowed)}"
        self.at(node, f"{where} is unknown: {name!r}{hint}")
        return None

    def _refuse_depth(self, text: str) -> None:
        depth = 0
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > DEPTH_MAX:
                raise yaml.MarkedYAMLError(
                    problem=f"nested deeper than {DEPTH_MAX} levels",
                    problem_mark=cast("yaml.Mark", event.start_mark),
                )
