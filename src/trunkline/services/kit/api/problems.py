"""Errors as RFC 9457 problem details."""

from http import HTTPStatus
from typing import Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DataError
from starlette.exceptions import HTTPException

from trunkline.errors import InvalidInput, NotFound, TrunklineError, Unavailable

MEDIA_TYPE: Final = "application/problem+json"


class Problem(Exception):  # noqa: N818 - the RFC's own word
    """Raised by a route: the request cannot be answered, and this is why."""

    def __init__(self, status: int, detail: str, *, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers


def install(app: FastAPI) -> None:
    """Answer every error of the app with problem details; a bug stays a 500 without its text."""

    @app.exception_handler(Problem)
    def problem(_request: Request, error: Problem) -> JSONResponse:
        return refusal(error.status, error.detail, error.headers)

    @app.exception_handler(HTTPException)
    def http(_request: Request, error: HTTPException) -> JSONResponse:
        headers = dict(error.headers) if error.headers else None
        return refusal(error.status_code, str(error.detail), headers)

    @app.exception_handler(RequestValidationError)
    def invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        found = ("{}: {}".format(".".join(map(str, one["loc"])), one["msg"]) for one in error.errors())
        return refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "; ".join(found))

    @app.exception_handler(TrunklineError)
    def ours(_request: Request, error: TrunklineError) -> JSONResponse:
        if isinstance(error, NotFound):
            return refusal(HTTPStatus.NOT_FOUND, str(error))
        if isinstance(error, InvalidInput):
            return refusal(HTTPStatus.UNPROCESSABLE_ENTITY, str(error))
        if isinstance(error, Unavailable):
            return refusal(HTTPStatus.SERVICE_UNAVAILABLE, str(error))
        return refusal(HTTPStatus.CONFLICT, str(error))

    @app.exception_handler(DataError)
    @app.exception_handler(OverflowError)
    @app.exception_handler(UnicodeEncodeError)
    def beyond(_request: Request, _error: Exception) -> JSONResponse:
        # The word of the database, or of Python on the way to it: a number beyond 64 bits, a text with NUL
        # or with half of a surrogate pair.
        return refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "a value in the request is beyond what can be stored")


def refusal(status: int, detail: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """An answer that says why there is no other."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    return JSONResponse(body, status_code=status, headers=headers, media_type=MEDIA_TYPE)
