"""From a frame to a handler, and from its response to bytes."""

import struct
from collections.abc import Mapping
from typing import Final

from trunkline.broker.api import api_versions
from trunkline.broker.api.call import Call, Handler
from trunkline.broker.broker import Broker
from trunkline.broker.exchange import Answer, Chunks, CloseConnection, Deferred, Session
from trunkline.broker.protocol.codec import MalformedMessage, decode
from trunkline.broker.protocol.errors import ErrorCode
from trunkline.broker.protocol.header import (
    API_VERSIONS_KEY,
    RequestHeader,
    encode_response,
    encode_response_header,
    parse_request_header,
)
from trunkline.broker.protocol.notation import Message

_SIZE: Final = struct.Struct(">i")


class ApiDispatcher:
    """Carries out requests with the handlers it was given."""

    def __init__(self, broker: Broker, handlers: Mapping[int, Handler]) -> None:
        self._broker = broker
        self._handlers = handlers
        self._declarations = {key: handler.declaration for key, handler in handlers.items()}

    def dispatch(self, frame: memoryview, session: Session) -> Answer:
        """Carry out one request. Raises `CloseConnection` for what the protocol has no answer to."""
        try:
            header = parse_request_header(frame)
            handler = self._handlers.get(header.api_key)
            if handler is None or not self._declarations[header.api_key].serves(header.api_version):
                return self._refuse(header)
            request = decode(handler.request, header.api_version, frame[header.body_offset :])
        except MalformedMessage as problem:
            raise CloseConnection(str(problem)) from None
        session.client_id = header.client_id
        call = Call(header.api_version, session, self._handlers)
        response = handler.handle(self._broker, request, call)
        if isinstance(response, Message):
            return encode_response(response, header.api_version, correlation_id=header.correlation_id)
        if isinstance(response, bytes):
            return _framed(response, header)
        if response is None:
            return None

        def encode(message: Message) -> Chunks:
            return encode_response(message, header.api_version, correlation_id=header.correlation_id)

        return Deferred(response, encode, handler.pipelined)

    def _refuse(self, header: RequestHeader) -> Chunks:
        if header.api_key != API_VERSIONS_KEY:
            raise CloseConnection(
                f"API key {header.api_key} version {header.api_version} is not served; "
                "ApiVersions says what is"
            )
        refusal = api_versions.listing(self._handlers, ErrorCode.UNSUPPORTED_VERSION)
        return encode_response(refusal, 0, correlation_id=header.correlation_id)


def _framed(body: bytes, header: RequestHeader) -> Chunks:
    head = encode_response_header(header.api_key, header.api_version, correlation_id=header.correlation_id)
    return [_SIZE.pack(len(head) + len(body)) + head + body]
