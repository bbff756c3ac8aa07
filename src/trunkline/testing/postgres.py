"""A PostgreSQL server of the test's own: a fresh cluster in a temporary directory, on loopback.

    with PostgresServer() as server:
        store = open_store(server.create_database())
        server.kill()
        server.start()          # the same data, the same port

It runs with its defaults for durability, so that what is committed survives `kill`.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from trunkline.errors import TrunklineError

HOST: Final = "127.0.0.1"
USER: Final = "trunkline"
START_DEADLINE_S: Final = 30.0
STOP_DEADLINE_S: Final = 20.0
_POLL_S: Final = 0.05
_PACKAGED: Final = "postgresql/*/bin/initdb"
"""Where Debian and its relatives keep the server's programs, outside of PATH."""

_UNPRIVILEGED: Final = ("postgres", "nobody")
"""PostgreSQL refuses to run as root; the first of these accounts that exists runs it instead."""

_EMPTY: Final = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid();"
    "SET client_min_messages = error; DROP SCHEMA public CASCADE; CREATE SCHEMA public"
)


class PostgresFailed(TrunklineError):  # noqa: N818 - named for what happened
    """The server did not come up or did not stop; the text ends with its log."""


def why_missing() -> str | None:
    """Why no server can be started here; None if one can."""
    if _programs() is None:
        return "PostgreSQL is not installed: no initdb on PATH nor in /usr/lib/postgresql"
    try:
        import psycopg  # noqa: F401 - only whether it is there
    except ImportError:
        return "psycopg is not installed: pip install trunkline[postgres]"
    return None


class PostgresServer:
    """One server, started on entering; everything of it is gone at the end. Needs Linux for `pause`."""

    def __init__(self) -> None:
        programs = _programs()
        if programs is None:
            raise PostgresFailed(why_missing() or "PostgreSQL is missing")
        self._programs = programs
        self._user = _account()
        self._directory = Path(tempfile.mkdtemp(prefix="trunkline-postgres-"))
        self._port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = count(1)
        self._free: list[str] = []

    def __enter__(self) -> Self:
        if self._user is not None:
            shutil.chown(self._directory, self._user)
        data = self._directory / "data"
        done = self._run("initdb", "-D", str(data), "-U", USER, "-A", "trust", "-E", "UTF8", "--no-locale")
        if done.returncode != 0:
            raise PostgresFailed(f"initdb failed: {done.stderr.decode(errors='replace')}")
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        shutil.rmtree(self._directory, ignore_errors=True)

    def url(self, database: str = "postgres") -> str:
        """The SQLAlchemy URL of a database of this server."""
        return f"postgresql+psycopg://{USER}@{HOST}:{self._port}/{database}"

    def create_database(self) -> str:
        """A new, empty database; returns its URL."""
        return self.url(self._created())

    @contextmanager
    def database(self) -> Iterator[str]:
        """The URL of an empty database, for a while. It is emptied for the next: cheaper than a new one."""
        name = self._free.pop() if self._free else self._created()
        yield self.url(name)
        self._psql(_EMPTY, name)
        self._free.append(name)

    def start(self) -> None:
        """Start it, and wait until it takes connections. Raises `PostgresFailed`."""
        deadline = time.monotonic() + START_DEADLINE_S
        while True:
            self._process = self._spawn()
            while self._process.poll() is None:
                if self._answers():
                    return
                if time.monotonic() > deadline:
                    self.kill()
                    raise PostgresFailed(f"PostgreSQL did not start in time: {self._log}")
                time.sleep(_POLL_S)
            # After a kill the last of the old processes may still hold the shared memory for a moment.
            if time.monotonic() > deadline:
                raise PostgresFailed(f"PostgreSQL ended: {self._log}")
            time.sleep(_POLL_S)

    def stop(self) -> None:
        """Stop it as an administrator does: connections are closed, the next start recovers nothing."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(STOP_DEADLINE_S)
        except subprocess.TimeoutExpired as error:
            self.kill()
            raise PostgresFailed(f"PostgreSQL did not stop in time: {self._log}") from error
        self._process = None

    def kill(self) -> None:
        """End every process of it at once, as a power cut would."""
        if self._process is None:
            return
        self._signal(signal.SIGSTOP)
        self._signal(signal.SIGKILL)
        self._process.wait(STOP_DEADLINE_S)
        self._process = None

    def pause(self) -> None:
        """Freeze every process of it: connections stay open and silent."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """The end of `pause`."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        """The postmaster first, so that a stopped one starts no child while they are looked for."""
        assert self._process is not None, "it is not running"
        postmaster = self._process.pid
        children = _children(postmaster)
        for pid in [postmaster, *children, *_children(postmaster)]:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue

    def _spawn(self) -> subprocess.Popen[bytes]:
        with (self._directory / "log").open("ab") as log:
            return subprocess.Popen(  # noqa: S603 - the server's own program with our arguments
                [
                    str(self._programs / "postgres"),
                    *("-D", str(self._directory / "data")),
                    *("-h", HOST, "-p", str(self._port), "-k", str(self._directory)),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._directory,
                user=self._user,
            )

    def _created(self) -> str:
        name = f"test_{next(self._numbers)}"
        self._psql(f"CREATE DATABASE {name}")
        return name

    def _answers(self) -> bool:
        done = self._run("pg_isready", "-q", "-h", HOST, "-p", str(self._port))
        return done.returncode == 0

    def _psql(self, statement: str, database: str = "postgres") -> None:
        connection = ("-h", HOST, "-p", str(self._port), "-U", USER, "-d", database)
        done = self._run("psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", *connection, "-c", statement)
        if done.returncode != 0:
            raise PostgresFailed(f"{statement}: {done.stderr.decode(errors='replace')}")

    def _run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        command: Sequence[str] = [str(self._programs / program), *arguments]
        return subprocess.run(  # noqa: S603 - as above
            command, capture_output=True, cwd=self._directory, user=self._user, check=False
        )

    @property
    def _log(self) -> str:
        path = self._directory / "log"
        return path.read_text(errors="replace")[-2_000:] if path.exists() else "it wrote no log"


def _programs() -> Path | None:
    found = [path.parent for path in Path("/usr/lib").glob(_PACKAGED)]
    on_path = shutil.which("initdb")
    if on_path is not None:
        # A packager may put links on PATH; the programs find each other beside the real one.
        found.append(Path(on_path).resolve().parent)
    usable = [path for path in found if (path / "postgres").exists() and (path / "psql").exists()]
    return usable[-1] if usable else None


def _account() -> str | None:
    """Who runs the server when we are root; None for ourselves."""
    if os.geteuid() != 0:
        return None
    for name in _UNPRIVILEGED:
        try:
            pwd.getpwnam(name)
        except KeyError:
            continue
        return name
    raise PostgresFailed("PostgreSQL does not run as root, and there is no account of another user")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _children(parent: int) -> list[int]:
    """The processes that a process has started and that still run."""
    try:
        text = Path(f"/proc/{parent}/task/{parent}/children").read_text()
    except OSError:
        return []
    return [int(pid) for pid in text.split()]
