"""Which addresses a tenant's webhook may reach: public ones, and what the operator allows.

A URL of a tenant must not lead into the platform's own network (server-side request forgery). So a name is
resolved here, every address that it has is looked at, and the connection is made to an address that was
looked at: a name that resolves to something else a moment later changes nothing.
"""

import ipaddress
import socket
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from trunkline.errors import TrunklineError

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolver: TypeAlias = Callable[[str, int], Sequence[str]]

_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_IETF: Final = ipaddress.IPv4Network("192.0.0.0/24")
"""Protocol assignments, among them metadata services; Python counts parts of it as public."""
_METADATA: Final = frozenset({ipaddress.IPv4Address("168.63.129.16")})
"""Metadata services of clouds at public addresses."""


class AddressRefused(TrunklineError):  # noqa: N818 - named for what happened
    """A host is at an address that webhooks may not reach."""


def resolve(host: str, port: int) -> list[str]:
    """Every address of a host. Raises `OSError`."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[4][0]) for address in found))


class Guard:
    """Vets hosts. `allowed` are networks in CIDR notation that the operator lets webhooks reach."""

    def __init__(self, allowed: Sequence[str] = (), *, resolver: Resolver = resolve) -> None:
        self._allowed: tuple[Network, ...] = tuple(map(ipaddress.ip_network, allowed))
        self._resolver = resolver

    def connect(self, host: str, port: int, *, timeout_s: float) -> socket.socket:
        """A connection to an address of the host that was vetted. Raises `AddressRefused` and `OSError`."""
        last: OSError = ConnectionError(f"{host} has no address")
        for address in self.vetted(host, port):
            try:
                return socket.create_connection((address, port), timeout_s)
            except OSError as error:
                last = error
        raise last

    def vetted(self, host: str, port: int) -> list[str]:
        """The addresses of a host. Raises `AddressRefused` if one may not be reached, and `OSError`."""
        addresses = self._resolver(host, port)
        for text in addresses:
            if not self.permits(ipaddress.ip_address(text.partition("%")[0])):
                raise AddressRefused(
                    f"{host} is at {text}, which is not a public address; an operator can allow its network "
                    "with notification.allowed_networks"
                )
        return list(addresses)

    def permits(self, address: Address) -> bool:
        """Whether webhooks may reach an address; one that wraps another is judged by that, too."""
        if any(address in network for network in self._allowed if network.version == address.version):
            return True
        if isinstance(address, ipaddress.IPv6Address) and (inner := _wrapped(address)) is not None:
            return self.permits(inner)
        if address in _METADATA or (isinstance(address, ipaddress.IPv4Address) and address in _IETF):
            return False
        return address.is_global and not address.is_multicast and not address.is_reserved


def _wrapped(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that an IPv6 address stands for: mapped, 6to4, Teredo, NAT64."""
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return None
