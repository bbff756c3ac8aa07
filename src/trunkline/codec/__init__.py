"""Events to Kafka records and back: CloudEvents 1.0.2 in binary mode, keyed by tenant. Pure."""

from trunkline.codec.decode import decode
from trunkline.codec.encode import encode, encode_checked, validate
from trunkline.codec.envelope import NO_EXTENSIONS, Envelope, new_envelope
from trunkline.codec.errors import CodecError
from trunkline.codec.identity import derive_id, new_id
from trunkline.codec.record import Encoded, Headers, Record

__all__ = [
    "NO_EXTENSIONS",
    "CodecError",
    "Encoded",
    "Envelope",
    "Headers",
    "Record",
    "decode",
    "derive_id",
    "encode",
    "encode_checked",
    "new_envelope",
    "new_id",
    "validate",
]
