"""ApiVersions (18), versions 0-4: what this broker serves.

A version from the future gets a version 0 answer with UNSUPPORTED_VERSION and the list, so that the client
can choose again (KIP-511). Produce is listed from version 0, see `protocol.registry`.
"""

from collections.abc import Mapping

from trunkline.broker.api.call import Call, Handler
from trunkline.broker.broker import Broker
from trunkline.broker.protocol.errors import ErrorCode
from trunkline.broker.protocol.messages.versions import ApiVersion, ApiVersionsRequest, ApiVersionsResponse


def listing(handlers: Mapping[int, Handler], error: ErrorCode = ErrorCode.NONE) -> ApiVersionsResponse:
    """The answer that lists what `handlers` serve."""
    declarations = (handlers[key].declaration for key in sorted(handlers))
    return ApiVersionsResponse(
        error_code=error,
        api_keys=[
            ApiVersion(api_key=api.key, min_version=api.listed_first, max_version=api.last_version)
            for api in declarations
        ],
    )


def _handle(_broker: Broker, _request: ApiVersionsRequest, call: Call) -> ApiVersionsResponse:
    return listing(call.handlers)


HANDLER = Handler(ApiVersionsRequest, _handle)
