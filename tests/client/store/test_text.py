import pytest
from sqlalchemy import literal, select

from trunkline.client.store import Store
from trunkline.client.store.text import CHARS_MAX, storable


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("it would not", "it would not"),
        ("a\0b", "a\ufffdb"),
        ("a\udcffb", "a?b"),
        ("ü" * 3_000, "ü" * CHARS_MAX),
    ],
)
def test_whatever_the_text_a_database_takes_it(store: Store, text: str, kept: str) -> None:
    assert storable(text) == kept
    with store.read() as tx:
        assert tx.execute(select(literal(storable(text)))).scalar_one() == kept
