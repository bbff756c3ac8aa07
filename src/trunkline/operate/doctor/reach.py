"""Whether anything listens at an address: its name, then each of its addresses, each with a deadline."""

import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Final

from trunkline.operate.doctor.deadline import together, within
from trunkline.operate.doctor.findings import Family, Finding, failed, ok, warning

RESOLVE_SECONDS: Final = 3.0
CONNECT_SECONDS: Final = 3.0
ADDRESSES_MAX: Final = 4
"""Of one name. The client library tries them in turn, too."""

DEFAULT_PORT: Final = 9092
"""librdkafka's, where an address has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a broker is said to be. `host` is what its certificate has to name."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """How it went. `answered` has the milliseconds to connect by IP address, `silent` why not.

    `unresolved` is why the name has no address at all, empty where it has.
    """

    address: Address
    answered: dict[str, float]
    silent: dict[str, str]
    unresolved: str = ""


def addresses(servers: str) -> list[Address]:
    """The bootstrap servers, as librdkafka understands `HOST:PORT,HOST:PORT`."""
    return [_address(server.strip()) for server in servers.split(",") if server.strip()]


def contact(address: Address) -> Contact:
    """Resolve the name and connect to each of its addresses; ends within seconds, and raises nothing."""
    try:
        found = within(
            RESOLVE_SECONDS,
            lambda: socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM),
        )
    except (OSError, UnicodeError) as error:
        why = error.strerror if isinstance(error, socket.gaierror) else str(error)
        return Contact(address=address, answered={}, silent={}, unresolved=why or "no such name")
    answered: dict[str, float] = {}
    silent: dict[str, str] = {}
    for ip in list(dict.fromkeys(str(one[4][0]) for one in found))[:ADDRESSES_MAX]:
        begun = time.monotonic()
        try:
            socket.create_connection((ip, address.port), timeout=CONNECT_SECONDS).close()
        except OSError as error:
            silent[ip] = error.strerror or f"no answer within {CONNECT_SECONDS:g} s"
        else:
            answered[ip] = (time.monotonic() - begun) * 1_000
    return Contact(address=address, answered=answered, silent=silent)


def judge(found: Contact, *, others: bool) -> Finding:
    """One line about a bootstrap server. `others` is whether a client gets in elsewhere."""
    about = str(found.address)
    bad = warning if others else failed
    if found.unresolved:
        return bad(
            Family.REACHABILITY,
            about,
            f"the name {found.address.host} cannot be resolved ({found.unresolved})",
            "correct --bootstrap-servers or TRUNKLINE_BOOTSTRAP_SERVERS, or the DNS of this machine",
        )
    if not found.answered:
        return bad(
            Family.REACHABILITY,
            about,
            f"nothing accepts a connection ({why_silent(found)})",
            "start the broker, correct --bootstrap-servers, or open the firewall or NetworkPolicy",
        )
    times = ", ".join(f"{ip} in {ms:.1f} ms" for ip, ms in found.answered.items())
    not_at = f"; not at {why_silent(found)}" if found.silent else ""
    return ok(Family.REACHABILITY, about, f"connected to {times}{not_at}")


def why_silent(found: Contact) -> str:
    """The addresses that do not answer, each with its reason."""
    return ", ".join(f"{ip}: {why}" for ip, why in found.silent.items())


def contacts(wanted: Iterable[Address]) -> list[Contact]:
    """Each of these addresses, in their order; asked together, so that silent ones cost no more than one."""
    return together(partial(contact, address) for address in wanted)


def _address(server: str) -> Address:
    # A listener's name may stand before, as in `SSL://broker:9093`.
    server = server.rpartition("://")[2]
    host, colon, port = server.rpartition(":")
    if not colon or host.endswith(":") or (":" in host and not host.endswith("]")):
        host, port = server, str(DEFAULT_PORT)
    return Address(host=host.strip("[]"), port=int(port))
