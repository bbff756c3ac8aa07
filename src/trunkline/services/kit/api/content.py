"""The bytes of a request, up to a limit, for routes that take a document as it is."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from fastapi import Request

from trunkline.services.kit.api.problems import Problem


def content_up_to(limit: int) -> Callable[[Request], Awaitable[bytes]]:
    """A dependency: `content: Annotated[bytes, Depends(content_up_to(1_000_000))]`. 413 for more."""

    async def content(request: Request) -> bytes:
        gathered = bytearray()
        async for chunk in request.stream():
            gathered += chunk
            if len(gathered) > limit:
                raise Problem(413, f"the request is larger than {limit} bytes")
        return bytes(gathered)

    return content


JSON_CONTENT: Final[dict[str, Any]] = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}
}
"""`openapi_extra` of such a route: what OpenAPI has to say of it."""
