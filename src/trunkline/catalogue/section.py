"""One mapping of a catalogue file, read key by key: each problem says which key it is, of what, and where."""

import re
from collections.abc import Sequence
from types import MappingProxyType
from typing import Final

from yaml.nodes import Node, ScalarNode

from trunkline.catalogue.nodes import NodeReader
from trunkline.catalogue.quantity import cpus, heap_bytes, size_bytes

CPUS: Final = "an amount of CPUs, such as 500m or 2"
BYTES: Final = "a size as Kubernetes writes it, such as 512Mi or 8Gi"
HEAP: Final = "a heap as the JVM takes it, such as 512m or 2g"
_SIZES: Final = MappingProxyType({CPUS: cpus, BYTES: size_bytes, HEAP: heap_bytes})


class Section:
    """One mapping of the section: reads a key if it is there, and calls it `KEY of WHERE` in problems."""

    def __init__(
        self,
        reader: NodeReader,
        node: Node,
        where: str,
        *,
        required: Sequence[str],
        optional: Sequence[str] = (),
    ) -> None:
        self.reader = reader
        self.where = where
        allowed = (*required, *optional)
        self.keys = reader.mapping(node, where, allowed=allowed, required=required) or {}

    def refuse(self, key: str, message: str) -> None:
        self.reader.at(self.keys[key], f"{self.where}: {message}")

    def flag(self, key: str) -> bool | None:
        return self.reader.boolean(self.keys[key], f"{key} of {self.where}") if key in self.keys else None

    def count(self, key: str, *, least: int = 1) -> int | None:
        if key not in self.keys:
            return None
        return self.reader.whole(self.keys[key], f"{key} of {self.where}", least=least)

    def choice(self, key: str, allowed: Sequence[str]) -> str | None:
        return (
            self.reader.choice(self.keys[key], f"{key} of {self.where}", allowed)
            if key in self.keys
            else None
        )

    def matching(self, key: str, pattern: re.Pattern[str], what: str) -> str | None:
        """A text of this form; `what` says which, after "is not"."""
        text = self.reader.text(self.keys[key], f"{key} of {self.where}") if key in self.keys else None
        if text is None or pattern.fullmatch(text):
            return text
        self.reader.at(self.keys[key], f"{key} of {self.where}: {text!r} is not {what}")
        return None

    def size(self, key: str, what: str) -> str | None:
        """A size, written as a number or a text; `what` says which."""
        node = self.keys.get(key)
        if node is None:
            return None
        parse = _SIZES[what]
        text = str(node.value) if isinstance(node, ScalarNode) else ""
        if parse(text) is not None:
            return text
        self.reader.at(node, f"{key} of {self.where}: {text!r} is not {what}")
        return None

    def inner(self, key: str, *, required: Sequence[str], optional: Sequence[str] = ()) -> "Section | None":
        if key not in self.keys:
            return None
        where = f"{key} of {self.where}"
        return Section(self.reader, self.keys[key], where, required=required, optional=optional)
