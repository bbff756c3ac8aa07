"""Every declared message in every version against an independent implementation of the protocol."""

import types
import typing
from collections.abc import Callable, Iterator
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from io import BytesIO
from random import Random
from typing import Any
from uuid import UUID

import pytest
from kio.index import load_request_schema, load_response_schema
from kio.schema.errors import ErrorCode as KioErrorCode
from kio.serial import entity_reader, entity_writer

from trunkline.broker.protocol.codec import decode, encode_bytes
from trunkline.broker.protocol.notation import ZERO_UUID, Message, Struct, Versions
from trunkline.broker.protocol.registry import API

SAMPLES = 5


def every_message() -> Iterator[Any]:
    for declaration in API.values():
        for version in range(declaration.first_version, declaration.last_version + 1):
            for cls in (declaration.request, declaration.response):
                yield pytest.param(cls, version, id=f"{cls.__name__}-v{version}")


@pytest.mark.parametrize(("cls", "version"), list(every_message()))
def test_a_message_is_the_same_bytes_as_in_kio_and_reads_back(
    cls: type[Message], version: int, make_message: Callable[[type[Message], int, Random], Message]
) -> None:
    load = load_request_schema if cls.__name__.endswith("Request") else load_response_schema
    oracle: Any = load(cls.api.key, version)
    assert oracle.__flexible__ == (version in Versions.parse(cls.api.flexible))
    for seed in range(SAMPLES):
        message = make_message(cls, version, Random(seed))
        theirs = as_kio(message, oracle, version)
        written = BytesIO()
        entity_writer(oracle)(written, theirs)
        expected = written.getvalue()

        assert encode_bytes(message, version) == expected
        assert decode(cls, version, expected) == message
        assert entity_reader(oracle)(encode_bytes(message, version), 0) == (theirs, len(expected))


def as_kio(ours: Struct, oracle: Any, version: int) -> Any:
    """The same structure as an instance of kio's class; both keep the fields in the protocol's order."""
    names = [name for name, field in ours.wire.items() if version in Versions.parse(field.versions)]
    theirs = fields(oracle)
    assert len(names) == len(theirs), f"{type(ours).__name__} v{version}: {names} against {theirs}"
    return oracle(
        **{
            field.name: as_kio_value(
                getattr(ours, name), field.type, field.metadata.get("kafka_type"), version
            )
            for name, field in zip(names, theirs, strict=True)
        }
    )


def as_kio_value(value: Any, kind: Any, kafka_type: str | None, version: int) -> Any:
    if isinstance(value, list):
        return tuple(as_kio_value(item, element_type(kind), kafka_type, version) for item in value)
    if isinstance(value, Struct):
        return as_kio(value, element_type(kind), version)
    if value is None:
        return None
    return PRIMITIVES.get(kafka_type or "", lambda same: same)(value)


PRIMITIVES: dict[str, Callable[[Any], Any]] = {
    "error_code": KioErrorCode,
    "uuid": lambda value: None if value == ZERO_UUID else UUID(bytes=value),
    "timedelta_i32": lambda value: timedelta(milliseconds=value),
    "timedelta_i64": lambda value: timedelta(milliseconds=value),
    "datetime_i64": lambda value: None if value == -1 else datetime.fromtimestamp(value / 1000, UTC),
}


def element_type(kind: Any) -> Any:
    """The class inside `tuple[X, ...]`, `X | None` or both."""
    while (arguments := typing.get_args(kind)) and not isinstance(kind, type(None)):
        kind = next(item for item in arguments if item not in (Ellipsis, types.NoneType))
    return kind
