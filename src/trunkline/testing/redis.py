"""A Redis server of the test's own, on loopback, without anything on disk.

with RedisServer() as server:
    client = redis.Redis.from_url(server.url)
    server.kill()
    server.start()          # empty, on the same port
"""

import shutil
import socket
import subprocess
import time
from types import TracebackType
from typing import Final, Self

from trunkline.errors import TrunklineError

HOST: Final = "127.0.0.1"
PROGRAM: Final = "redis-server"
START_DEADLINE_S: Final = 20.0
_POLL_S: Final = 0.02


class RedisFailed(TrunklineError):  # noqa: N818 - named for what happened
    """The server did not come up."""


def why_missing() -> str | None:
    """Why no server can be started here; None if one can."""
    if shutil.which(PROGRAM) is None:
        return f"Redis is not installed: no {PROGRAM} on PATH"
    try:
        import redis  # noqa: F401 - only whether it is there
    except ImportError:
        return "redis is not installed: pip install trunkline[redis]"
    return None


class RedisServer:
    """One server, started on entering. With `password` it wants one."""

    def __init__(self, *, password: str | None = None) -> None:
        self._port = _free_port()
        self._password = password
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Without the password."""
        return f"redis://{HOST}:{self._port}/0"

    def start(self) -> None:
        """Start it, and wait until it takes connections. Raises `RedisFailed`."""
        secured = ("--requirepass", self._password) if self._password else ()
        options = ("--port", str(self._port), "--bind", HOST, "--save", "", "--appendonly", "no", *secured)
        self._process = subprocess.Popen(  # noqa: S603 - a program of the machine
            [str(shutil.which(PROGRAM)), *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
        )
        deadline = time.monotonic() + START_DEADLINE_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RedisFailed(f"{PROGRAM} did not start on port {self._port}")
            time.sleep(_POLL_S)

    def kill(self) -> None:
        """End it at once, as a crash would. Safe to call twice."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def _answers(self) -> bool:
        try:
            with socket.create_connection((HOST, self._port), timeout=1):
                return True
        except OSError:
            return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
