"""Which fields one version of a structure has, and the fewest bytes they can take."""

from typing import Final

from trunkline.broker.protocol.notation import Field, Struct, Versions

FIXED: Final = {
    "boolean": ("?", 1),
    "int8": ("b", 1),
    "int16": ("h", 2),
    "int32": ("i", 4),
    "int64": ("q", 8),
    "uuid": ("16s", 16),
}
"""Fixed-size kinds: their `struct` code and their size in bytes."""


class Layout:
    """A structure as one version of a message sees it. `plain` and `tagged` keep wire order."""

    __slots__ = ("cls", "flexible", "plain", "tagged", "version")

    def __init__(self, cls: type[Struct], version: int, *, flexible: bool) -> None:
        self.cls = cls
        self.version = version
        self.flexible = flexible
        present = [
            (name, field) for name, field in cls.wire.items() if version in Versions.parse(field.versions)
        ]
        self.plain = [(name, field) for name, field in present if field.tagged is None]
        self.tagged = sorted(
            ((name, field) for name, field in present if field.tagged is not None),
            key=lambda item: item[1].tagged or 0,
        )

    def nested(self, cls: type[Struct]) -> "Layout":
        """The layout of a structure inside this one."""
        return Layout(cls, self.version, flexible=self.flexible)

    def nullable(self, field: Field) -> bool:
        """Whether the field may be null in this version."""
        return self.version in Versions.parse(field.nullable)

    def bytes_min(self) -> int:
        """The fewest bytes an instance takes: what bounds an array's count by the bytes that are left."""
        return sum(self._field_bytes_min(field) for _, field in self.plain) + (1 if self.flexible else 0)

    def element_bytes_min(self, element: type[Struct] | str) -> int:
        """The fewest bytes one element of an array takes."""
        if isinstance(element, str):
            return self._field_bytes_min(Field(element))
        return max(1, self.nested(element).bytes_min())

    def _field_bytes_min(self, field: Field) -> int:
        if field.kind in FIXED:
            return FIXED[field.kind][1]
        if field.kind == "struct":
            return 1 if self.nullable(field) else self.nested(field.element).bytes_min()
        if self.flexible:
            return 1
        return 2 if field.kind == "string" else 4
