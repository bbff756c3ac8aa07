"""What the internal topics hold is read as it was written, and anything else is no end and no receipt."""

from datetime import UTC, datetime

import msgspec
import pytest

from trunkline.codec.record import Encoded, Record
from trunkline.services.kit.ending.records import (
    End,
    Receipt,
    can_end,
    decode_end,
    decode_receipt,
    encode_end,
    encode_receipt,
)

AT = datetime(2026, 5, 1, tzinfo=UTC)
END = End(tenant="acme", deletion_id="d-1", deleted_at=AT)


def as_record(encoded: Encoded) -> Record:
    return Record("t", 0, 0, 0, encoded.key, encoded.value, ())


def receipt(**changed: object) -> Receipt:
    made = Receipt.of(END, service="billing-service", erased_at=AT, rows={"b": 2, "a": 1}, keys_destroyed=1)
    return msgspec.structs.replace(made, **changed)


def test_an_end_and_a_receipt_come_back_as_they_were_written() -> None:
    assert decode_end(as_record(encode_end(END))) == END
    assert decode_receipt(as_record(encode_receipt(receipt()))) == receipt()


def test_a_receipt_that_is_repeated_later_has_the_same_digest() -> None:
    later = Receipt.of(
        END,
        service="billing-service",
        erased_at=datetime(2027, 1, 1, tzinfo=UTC),
        rows={"a": 1, "b": 2},
        keys_destroyed=1,
    )
    assert later.digest == receipt().digest


@pytest.mark.parametrize(
    "changed", [{"keys_destroyed": 2}, {"rows": {"a": 1}}, {"service": "else"}, {"format": 2}]
)
def test_a_receipt_that_was_bent_or_is_of_another_format_is_none(changed: dict[str, object]) -> None:
    assert decode_receipt(as_record(encode_receipt(receipt(**changed)))) is None


@pytest.mark.parametrize("value", [None, b"", b"{}", b"\xff", b'{"tenant": 1}'])
def test_other_records_are_neither(value: bytes | None) -> None:
    record = Record("t", 0, 0, 0, b"acme", value, ())
    assert decode_end(record) is None
    assert decode_receipt(record) is None


@pytest.mark.parametrize("tenant", ["system", "", "no tenant", "x" * 65])
def test_the_platform_itself_and_what_is_no_tenant_cannot_end(tenant: str) -> None:
    assert not can_end(tenant)
    end = msgspec.structs.replace(END, tenant=tenant)
    assert decode_end(as_record(encode_end(end))) is None
