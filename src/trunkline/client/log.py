"""Log lines of the client. That one cannot be written, say to a closed terminal, stops no event."""

import contextlib

import structlog


class Log:
    """A structured logger that never raises: it is called on threads and from callbacks that must go on."""

    def __init__(self, name: str) -> None:
        self._log = structlog.get_logger(name)

    def info(self, what: str, **fields: object) -> None:
        """Something expected that an operator may want to follow."""
        with contextlib.suppress(Exception):
            self._log.info(what, **fields)

    def warning(self, what: str, **fields: object) -> None:
        """Something that passes by itself."""
        with contextlib.suppress(Exception):
            self._log.warning(what, **fields)

    def error(self, what: str, **fields: object) -> None:
        """Something that somebody should look at."""
        with contextlib.suppress(Exception):
            self._log.error(what, **fields)
