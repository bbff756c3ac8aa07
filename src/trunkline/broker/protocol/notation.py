"""The notation that protocol messages are declared in.

    class FetchRequest(Message, key=1, versions="4-18", flexible="12+"):
        max_wait_ms: int = int32()
        topics: list[FetchTopic] = array(FetchTopic)
        session_id: int = int32(versions="7+", default=0)
        cluster_id: str | None = string(versions="12+", nullable="12+", tagged=0, default=None)

Fields stand in wire order. The annotation is what a type checker sees; the specifier on the right says how
the value travels. `versions` are the message versions that carry the field (all when left out), `nullable`
those in which it may be None, `tagged` the tag number when it travels as a tagged field (KIP-482). A field
that is not carried by every version needs a default: it is what decoding yields for a version without the
field, and encoding leaves the field out silently. Ranges read "3", "3-7" or "3+".

A message is a frozen `msgspec.Struct`, so declaring one costs microseconds; nothing is compiled here.
"""

from collections.abc import Callable
from typing import Any, ClassVar, Final, dataclass_transform

import msgspec

REQUIRED: Final = object()
"""Marks a field without a default."""

ZERO_UUID: Final = bytes(16)
"""The absent topic id. A uuid is 16 plain bytes: cheap to compare, to hash and to copy."""

OPEN_END: Final = 32767
"""The end of a range like "3+": versions are int16."""


class Versions(msgspec.Struct, frozen=True):
    """An inclusive range of versions; empty when `last < first`."""

    first: int
    last: int

    def __contains__(self, version: int) -> bool:
        return self.first <= version <= self.last

    @classmethod
    def parse(cls, text: str) -> "Versions":
        """Reads "3", "3-7", "3+" or "" (no version at all)."""
        if not text:
            return cls(0, -1)
        if text.endswith("+"):
            return cls(int(text[:-1]), OPEN_END)
        first, _, last = text.partition("-")
        return cls(int(first), int(last or first))


class Field(msgspec.Struct, frozen=True):
    """How one field travels. `kind` is a primitive's name, "array" or "struct"; `element` what that holds."""

    kind: str
    versions: str = "0+"
    nullable: str = ""
    tagged: int | None = None
    default: Any = REQUIRED
    default_factory: Any = REQUIRED
    element: Any = None

    @property
    def optional(self) -> bool:
        """Whether a caller may leave the field out."""
        return self.default is not REQUIRED or self.default_factory is not REQUIRED

    def make_default(self) -> Any:
        """The value that stands for "not sent"; what a tagged field is compared with before it is written."""
        return self.default if self.default_factory is REQUIRED else self.default_factory()


class Api(msgspec.Struct, frozen=True):
    """Which API a message belongs to and in which versions it exists."""

    key: int
    versions: str
    """What the broker serves."""
    flexible: str = ""
    """The versions in compact encoding with tagged fields (KIP-482)."""
    listed_from: int | None = None
    """The first version that ApiVersions names, when that is not the first one served."""


def _specifier(kind: str) -> Callable[..., Any]:
    def specify(
        *,
        versions: str = "0+",
        nullable: str = "",
        tagged: int | None = None,
        default: Any = REQUIRED,
        default_factory: Any = REQUIRED,
    ) -> Any:
        return Field(kind, versions, nullable, tagged, default, default_factory)

    specify.__name__ = kind
    return specify


boolean = _specifier("boolean")
int8 = _specifier("int8")
int16 = _specifier("int16")
int32 = _specifier("int32")
int64 = _specifier("int64")
uuid = _specifier("uuid")
string = _specifier("string")
blob = _specifier("blob")
"""Opaque bytes; decoded as `bytes`, because they outlive the request (group metadata, assignments)."""
records = _specifier("records")
"""Record batches; decoded as a `memoryview` of the request's buffer and encoded without a copy."""


def array(
    element: Any,
    *,
    versions: str = "0+",
    nullable: str = "",
    tagged: int | None = None,
    default: Any = REQUIRED,
    default_factory: Any = REQUIRED,
) -> Any:
    """A list of structures (`array(FetchTopic)`) or of primitives (`array(int32)`, by its specifier)."""
    kind = element if isinstance(element, type) else element.__name__
    return Field("array", versions, nullable, tagged, default, default_factory, kind)


def struct(
    element: type["Struct"],
    *,
    versions: str = "0+",
    nullable: str = "",
    tagged: int | None = None,
    default: Any = REQUIRED,
) -> Any:
    """One nested structure."""
    return Field("struct", versions, nullable, tagged, default, REQUIRED, element)


class _StructMeta(msgspec.StructMeta):
    """Keeps the fields in wire order and hands msgspec required ones first, as positional order demands."""

    def __new__(mcls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **keywords: Any) -> Any:
        notes = namespace.get("__annotations__", {})
        wire: dict[str, Field] = {}
        required, optional = {}, {}
        for key, note in notes.items():
            field = namespace.get(key)
            if not isinstance(field, Field):
                required[key] = note
                continue
            wire[key] = field
            if field.default_factory is not REQUIRED:
                namespace[key] = msgspec.field(default_factory=field.default_factory)
                optional[key] = note
            elif field.default is not REQUIRED:
                namespace[key] = field.default
                optional[key] = note
            else:
                del namespace[key]
                required[key] = note
        namespace["__annotations__"] = required | optional
        namespace["wire"] = wire
        if "key" in keywords:
            namespace["api"] = Api(
                **{key: keywords.pop(key) for key in Api.__struct_fields__ if key in keywords}
            )
        # Messages hold no cycles, so the garbage collector need not track them.
        return super().__new__(mcls, name, bases, namespace, frozen=True, gc=False, **keywords)


@dataclass_transform(
    kw_only_default=True,
    field_specifiers=(boolean, int8, int16, int32, int64, uuid, string, blob, records, array, struct),
)
class Struct(msgspec.Struct, metaclass=_StructMeta):
    """A structure nested in a message; its versions are those of the message it is used in."""

    wire: ClassVar[dict[str, Field]] = {}
    """The fields by name, in wire order."""


class Message(Struct):
    """A request or a response; the class keywords are the fields of `Api`."""

    api: ClassVar[Api]
