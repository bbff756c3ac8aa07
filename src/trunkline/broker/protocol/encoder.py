"""Compiles the encoder of one message version.

The function appends to a bytearray; neighbouring fixed-size fields go through one `struct` call. Record
batches are never copied: they become chunks of their own between the bytearrays around them.
"""

from collections.abc import Callable
from struct import Struct as Packed
from struct import pack
from typing import Any

from trunkline.broker.protocol import primitives
from trunkline.broker.protocol.layout import FIXED, Layout
from trunkline.broker.protocol.notation import Field
from trunkline.broker.protocol.source import Source


def compile_encoder(layout: Layout) -> Callable[[Any, bytearray], list[primitives.Buffer]]:
    """The encoder of a layout: `encode(message, out)` appends to `out`, the first chunk it returns."""
    return _Encoder().compile(layout)


class _Encoder:
    """Writes the source of one encoder.

    Fixed-size values are not written at once: they gather in `_pending`, as `struct` code and expression,
    until something of variable size needs them out (`flush`).
    """

    def __init__(self) -> None:
        self.source = Source("encode", "message", "out")
        self.source.constants.update(
            write_uvarint=primitives.write_uvarint, small=primitives.SMALL_UVARINTS, pack=pack
        )
        self._pending: list[tuple[str, str]] = []

    def compile(self, layout: Layout) -> Callable[[Any, bytearray], list[primitives.Buffer]]:
        self.source.line("chunks = [out]")
        self.structure(layout, "message")
        self.flush()
        self.source.line("return chunks")
        return self.source.compile(f"encode {layout.cls.__name__} v{layout.version}")

    def structure(self, layout: Layout, owner: str) -> None:
        for name, field in layout.plain:
            self.field(layout, field, f"{owner}.{name}")
        if not layout.flexible:
            return
        if layout.tagged:
            self.tags(layout, owner)
        else:
            self._pending.append(("x", ""))

    def field(self, layout: Layout, field: Field, expression: str) -> None:
        if field.kind in FIXED:
            self._pending.append((FIXED[field.kind][0], expression))
            return
        value = self.source.name("value")
        self.source.line(f"{value} = {expression}")
        if not layout.nullable(field):
            self.content(layout, field, value)
            return
        self.flush()
        with self.source.block(f"if {value} is None:"):
            self.null(layout, field)
            self.flush()
        with self.source.block("else:"):
            self.content(layout, field, value)
            self.flush()

    def null(self, layout: Layout, field: Field) -> None:
        if field.kind == "struct":
            self._pending.append(("b", "-1"))
        elif layout.flexible:
            self._pending.append(("x", ""))
        else:
            self._pending.append(("h" if field.kind == "string" else "i", "-1"))

    def content(self, layout: Layout, field: Field, value: str) -> None:
        if field.kind == "array":
            self.array(layout, field, value)
        elif field.kind == "struct":
            if layout.nullable(field):
                self._pending.append(("b", "1"))
            self.structure(layout.nested(field.element), value)
        else:
            self.octets(layout, field, value)

    def octets(self, layout: Layout, field: Field, value: str) -> None:
        line = self.source.line
        if field.kind == "string":
            line(f"{value} = {value}.encode()")
        self.length(layout, field, f"len({value})")
        self.flush()
        if field.kind != "records":
            line(f"out += {value}")
            return
        with self.source.block(f"if {value}:"):
            line(f"chunks.append({value})")
            line("out = bytearray()")
            line("chunks.append(out)")

    def length(self, layout: Layout, field: Field, expression: str) -> None:
        if not layout.flexible:
            self._pending.append(("h" if field.kind == "string" else "i", expression))
            return
        self.flush()
        length = self.source.name("length")
        self.source.line(f"{length} = {expression} + 1")
        self.source.line(f"out += small[{length}] if {length} < 128 else write_uvarint({length})")

    def array(self, layout: Layout, field: Field, value: str) -> None:
        if field.element in primitives.INT_WRITERS:
            self.flush()
            self.integers(layout, field.element, value)
            return
        self.length(layout, field, f"len({value})")
        self.flush()
        item = self.source.name("item")
        with self.source.block(f"for {item} in {value}:"):
            if isinstance(field.element, str):
                self.field(layout, Field(field.element), item)
            else:
                self.structure(layout.nested(field.element), item)
            self.flush()

    def integers(self, layout: Layout, kind: str, value: str) -> None:
        line = self.source.line
        writers = (primitives.COMPACT_INT_WRITERS if layout.flexible else primitives.INT_WRITERS)[kind]
        count = self.source.name("count")
        line(f"{count} = len({value})")
        head = f"{count} + 1" if layout.flexible else count
        with self.source.block(f"if {count} < {primitives.SMALL_ARRAY}:"):
            line(f"out += {self.source.constant('writers', writers)}[{count}]({head}, *{value})")
        with self.source.block("else:"):
            line(f"out += write_uvarint({head})" if layout.flexible else f"out += pack('>i', {count})")
            line(f"out += pack(f'>{{{count}}}{FIXED[kind][0]}', *{value})")

    def tags(self, layout: Layout, owner: str) -> None:
        """Writes the tagged section: only what differs from its default travels."""
        self.flush()
        line = self.source.line
        present: list[tuple[str, Field, str, str]] = []
        for name, field in layout.tagged:
            value, given = self.source.name(name), self.source.name("given")
            line(f"{value} = {owner}.{name}")
            line(f"{given} = {self.differs(field, value)}")
            present.append((name, field, value, given))
        total = self.source.name("total")
        line(f"{total} = {' + '.join(given for *_, given in present)}")
        line(f"out += small[{total}]")
        with self.source.block(f"if {total}:"):
            for _, field, value, given in present:
                with self.source.block(f"if {given}:"):
                    self.tag(layout, field, value)

    def differs(self, field: Field, value: str) -> str:
        if field.kind == "array":
            return f"{value} is not None and len({value}) > 0"
        default = self.source.constant("default", field.make_default())
        return f"{value} is not {default} and {value} != {default}"

    def tag(self, layout: Layout, field: Field, value: str) -> None:
        line = self.source.line
        outer = self.source.name("outer")
        line(f"{outer} = out")
        line("out = bytearray()")
        self.field(layout, field, value)
        self.flush()
        line(f"{outer} += {primitives.write_uvarint(field.tagged or 0)!r}")
        line(f"{outer} += write_uvarint(len(out))")
        line(f"{outer} += out")
        line(f"out = {outer}")

    def flush(self) -> None:
        """Writes one append of all fixed-size values since the last flush."""
        if not self._pending:
            return
        codes = "".join(code for code, _ in self._pending)
        values = ", ".join(value for _, value in self._pending if value)
        self._pending.clear()
        if not values:
            self.source.line(f"out += {bytes(len(codes))!r}")
            return
        self.source.line(f"out += {self.source.constant('write', Packed('>' + codes).pack)}({values})")
