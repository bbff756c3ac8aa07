import pytest

from trunkline.broker.protocol.decoder import compile_decoder
from trunkline.broker.protocol.layout import Layout
from trunkline.broker.protocol.notation import Message, Struct, array, boolean, int32, int64, string, uuid


class Row(Struct):
    number: int = int64()
    name: str = string()
    names: list[str] = array(string, versions="2+", default_factory=list)


class Table(Message, key=1, versions="0-9", flexible="3+"):
    rows: list[Row] = array(Row)
    wide: bool = boolean(versions="1+", default=True)
    id: bytes = uuid(versions="2+", default=bytes(16))


class Forgetful(Message, key=1, versions="0-9"):
    late: int = int32(versions="2+")


@pytest.mark.parametrize(
    ("version", "flexible", "row", "table"), [(0, False, 10, 4), (2, False, 14, 21), (3, True, 11, 19)]
)
def test_the_fewest_bytes_of_a_structure_follow_its_version(
    version: int, flexible: bool, row: int, table: int
) -> None:
    layout = Layout(Table, version, flexible=flexible)
    assert layout.element_bytes_min(Row) == row
    assert layout.bytes_min() == table
    assert layout.element_bytes_min("string") == (1 if flexible else 2)


def test_a_declaration_without_the_default_it_needs_does_not_compile() -> None:
    assert compile_decoder(Layout(Forgetful, 2, flexible=False))(b"\0\0\0\1") == Forgetful(late=1)
    with pytest.raises(TypeError, match=r"Forgetful\.late is not in every version"):
        compile_decoder(Layout(Forgetful, 1, flexible=False))
