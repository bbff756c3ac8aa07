"""The HTTP query API that services share: who calls, pages, errors, and how fresh an answer is."""

from trunkline.services.kit.api.pages import Page, PageSize, decode_cursor, encode_cursor, page_of
from trunkline.services.kit.api.problems import Problem
from trunkline.services.kit.api.reading import Reading, reading
from trunkline.services.kit.api.tokens import Caller, caller, operator, scoped

__all__ = [
    "Caller",
    "Page",
    "PageSize",
    "Problem",
    "Reading",
    "caller",
    "decode_cursor",
    "encode_cursor",
    "operator",
    "page_of",
    "reading",
    "scoped",
]
