from collections.abc import Callable

import msgspec

from trunkline.catalogue.events.query import TOPIC
from trunkline.codec import Record, decode, encode
from trunkline.testing.bench import micro


def test_the_event_that_is_measured_has_twelve_fields_and_is_valid() -> None:
    unset = {"origin", "tables_written", "rows_written", "bytes_written", "columns_hash"}
    assert len({field.name for field in msgspec.structs.fields(micro.EVENT)} - unset) == 12
    encoded = encode(micro.envelope())
    record = Record(TOPIC, 0, 0, 0, encoded.key, encoded.value, tuple(encoded.headers))
    assert decode(record) == micro.envelope()


def test_a_dearer_call_costs_more_microseconds() -> None:
    def summing(count: int) -> Callable[[], object]:
        return lambda: sum(range(count))

    assert 0 < micro.microseconds(summing(10)) < micro.microseconds(summing(100_000))
