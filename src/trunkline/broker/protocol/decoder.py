"""Compiles the decoder of one message version.

The function is straight-line code: neighbouring fixed-size fields (and the length or tag count that follows
them) are read by one `struct` call, nested structures are read in place, and an instance is built by one
positional call.
"""

from collections.abc import Callable
from struct import Struct as Packed
from struct import calcsize
from typing import Any

from trunkline.broker.protocol import primitives
from trunkline.broker.protocol.layout import FIXED, Layout
from trunkline.broker.protocol.notation import Field, Struct
from trunkline.broker.protocol.source import Source


def compile_decoder(layout: Layout) -> Callable[[primitives.Buffer], Any]:
    """The decoder of a layout: takes the body, returns the instance.

    The function raises `MalformedMessage`, or `IndexError`, `struct.error` or `UnicodeDecodeError` for bytes
    that end early or are not UTF-8.
    """
    return _Decoder().compile(layout)


class _Decoder:
    """Writes the source of one decoder.

    Fixed-size values are not read at once: they gather in `_pending`, as `struct` code and variable, until
    one of them is needed (`flush`).
    """

    def __init__(self) -> None:
        self.source = Source("decode", "buffer")
        self.source.constants.update(
            read_uvarint=primitives.read_uvarint,
            read_ints=primitives.read_ints,
            skip_tags=primitives.skip_tags,
            overrun=primitives.overrun,
            missing=primitives.missing,
            too_many=primitives.too_many,
            MalformedMessage=primitives.MalformedMessage,
        )
        self._pending: list[tuple[str, str]] = []

    def compile(self, layout: Layout) -> Callable[[primitives.Buffer], Any]:
        line = self.source.line
        line("view = memoryview(buffer)")
        line("size = len(buffer)")
        line("position = 0")
        line(f"elements_left = {primitives.ELEMENTS_MAX}")
        result = self.structure(layout)
        # Bytes after the message are ignored, as Apache Kafka does: librdkafka 2.16 writes the null array of
        # a Metadata request for all topics three bytes too long.
        line(f"return {result}")
        return self.source.compile(f"decode {layout.cls.__name__} v{layout.version}")

    def structure(self, layout: Layout) -> str:
        """Writes the reading of a structure; returns an expression that builds it."""
        values = {name: self.field(layout, name, field) for name, field in layout.plain}
        if layout.flexible:
            values.update(self.tags(layout))
        self.flush()
        arguments = [
            values.get(name) or self.default(layout.cls, name) for name in layout.cls.__struct_fields__
        ]
        return f"{self.source.constant(layout.cls.__name__, layout.cls)}({', '.join(arguments)})"

    def default(self, cls: type[Struct], name: str) -> str:
        field = cls.wire[name]
        if not field.optional:
            raise TypeError(f"{cls.__name__}.{name} is not in every version and has no default")
        if field.default_factory is list:
            return "[]"
        # Every other default is immutable, so all messages may share it.
        return self.source.constant(name, field.make_default())

    def field(self, layout: Layout, name: str, field: Field) -> str:
        """Writes the reading of one field; returns the variable that holds it after the next flush."""
        if field.kind in FIXED:
            return self.fixed(FIXED[field.kind][0], name)
        value = self.source.name(name)
        if field.kind == "struct":
            self.nested(layout, field, value)
            return value
        length = self.length(layout, field, name)
        self.flush()
        absent = f"raise missing('{layout.cls.__name__}.{name}')"
        if layout.nullable(field):
            with self.source.block(f"if {length} == -1:"):
                self.source.line(f"{value} = None")
            with self.source.block(f"elif {length} < -1:"):
                self.source.line(absent)
            with self.source.block("else:"):
                self.content(layout, field, value, length)
        else:
            with self.source.block(f"if {length} < 0:"):
                self.source.line(absent)
            self.content(layout, field, value, length)
        return value

    def length(self, layout: Layout, field: Field, name: str) -> str:
        if not layout.flexible:
            return self.fixed("h" if field.kind == "string" else "i", f"n_{name}")
        length = self.fixed("B", f"n_{name}")
        self.flush()
        with self.source.block(f"if {length} > 127:"):
            self.source.line(f"{length}, position = read_uvarint(buffer, position - 1)")
        self.source.line(f"{length} -= 1")
        return length

    def content(self, layout: Layout, field: Field, value: str, length: str) -> None:
        line = self.source.line
        if field.kind == "array":
            self.array(layout, field, value, length)
            return
        end = self.source.name("end")
        line(f"{end} = position + {length}")
        with self.source.block(f"if {end} > size:"):
            line(f"raise overrun({end}, size)")
        read = {"string": "str({}, 'utf-8')", "blob": "bytes({})", "records": "{}"}[field.kind]
        line(f"{value} = {read.format(f'view[position:{end}]')}")
        line(f"position = {end}")

    def array(self, layout: Layout, field: Field, value: str, count: str) -> None:
        line = self.source.line
        element_min = layout.element_bytes_min(field.element)
        with self.source.block(f"if {count} * {element_min} > size - position:"):
            line(f"raise overrun(position + {count} * {element_min}, size)")
        line(f"elements_left -= {count}")
        with self.source.block("if elements_left < 0:"):
            line(f"raise too_many({primitives.ELEMENTS_MAX}, 'array elements')")
        if field.element in primitives.INT_READERS:
            code, width = FIXED[field.element]
            readers = self.source.constant("readers", primitives.INT_READERS[field.element])
            with self.source.block(f"if {count} < {primitives.SMALL_ARRAY}:"):
                line(f"{value} = [*{readers}[{count}](buffer, position)]")
            with self.source.block("else:"):
                line(f"{value} = read_ints(buffer, position, {count}, '{code}')")
            line(f"position += {width} * {count}")
            return
        line(f"{value} = []")
        with self.source.block(f"for _ in range({count}):"):
            if isinstance(field.element, str):
                item = self.field(layout, "item", Field(field.element))
                self.flush()
            else:
                item = self.structure(layout.nested(field.element))
            line(f"{value}.append({item})")

    def nested(self, layout: Layout, field: Field, value: str) -> None:
        if not layout.nullable(field):
            self.source.line(f"{value} = {self.structure(layout.nested(field.element))}")
            return
        marker = self.fixed("b", "present")
        self.flush()
        with self.source.block(f"if {marker} < 0:"):
            self.source.line(f"{value} = None")
        with self.source.block("else:"):
            self.source.line(f"{value} = {self.structure(layout.nested(field.element))}")

    def tags(self, layout: Layout) -> dict[str, str]:
        """Writes the reading of the tagged section; returns the variables of the tags this version knows."""
        line = self.source.line
        count = self.fixed("B", "tags")
        self.flush()
        if not layout.tagged:
            with self.source.block(f"if {count}:"):
                line("position = skip_tags(buffer, position - 1, size)")
            return {}
        values = {}
        for name, _ in layout.tagged:
            values[name] = self.source.name(name)
            line(f"{values[name]} = {self.default(layout.cls, name)}")
        with self.source.block(f"if {count} > 127:"):
            line(f"{count}, position = read_uvarint(buffer, position - 1)")
        with self.source.block(f"if {count} > {primitives.TAGS_MAX}:"):
            line(f"raise too_many({primitives.TAGS_MAX}, 'tagged fields in one section')")
        tag, end = self.source.name("tag"), self.source.name("end")
        with self.source.block(f"for _ in range({count}):"):
            line(f"{tag}, position = read_uvarint(buffer, position)")
            line(f"{end}, position = read_uvarint(buffer, position)")
            line(f"{end} += position")
            with self.source.block(f"if {end} > size:"):
                line(f"raise overrun({end}, size)")
            for name, field in layout.tagged:
                with self.source.block(f"if {tag} == {field.tagged}:"):
                    found = self.field(layout, name, field)
                    self.flush()
                    line(f"{values[name]} = {found}")
                    with self.source.block(f"if position != {end}:"):
                        line(f"raise MalformedMessage('tagged field {name} has another size than it says')")
            line(f"position = {end}")
        return values

    def fixed(self, code: str, stem: str) -> str:
        name = self.source.name(stem)
        self._pending.append((code, name))
        return name

    def flush(self) -> None:
        """Writes one read of all fixed-size values since the last flush."""
        if not self._pending:
            return
        codes = ">" + "".join(code for code, _ in self._pending)
        names = ", ".join(name for _, name in self._pending)
        self._pending.clear()
        if codes == ">B":
            self.source.line(f"{names} = buffer[position]")
            self.source.line("position += 1")
            return
        reader = self.source.constant("read", Packed(codes).unpack_from)
        self.source.line(f"{names}, = {reader}(buffer, position)")
        self.source.line(f"position += {calcsize(codes)}")
