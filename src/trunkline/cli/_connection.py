"""How a command reaches a cluster: bootstrap servers, and who it is there.

librdkafka's security properties come from a file, as Kafka's own tools take it, or from the environment:
`TRUNKLINE_SASL_MECHANISM` is `sasl.mechanism`. The environment wins, so that a password need not be in a
file.

One property is ours: `sasl.password.file` (`TRUNKLINE_SASL_PASSWORD_FILE`) names a file that holds nothing
but the password, as a mounted Secret does. It is read once, at the start.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from trunkline.errors import InvalidInput

if TYPE_CHECKING:
    from trunkline.client.config import ConnectionOptions

ENVIRONMENT_FILE: Final = "TRUNKLINE_CLIENT_PROPERTIES"
PASSWORD: Final = "sasl.password"  # noqa: S105 - a property's name
PASSWORD_FILE: Final = "sasl.password.file"  # noqa: S105 - a property's name
_PREFIX: Final = "TRUNKLINE_"
_VARIABLES: Final = tuple(f"{_PREFIX}{part}" for part in ("SECURITY_", "SASL_", "SSL_", "ENABLE_SSL_"))

ClientProperties = Annotated[
    Path | None,
    typer.Option(
        "--client-properties",
        envvar=ENVIRONMENT_FILE,
        metavar="FILE",
        help="librdkafka's security.*, sasl.* and ssl.* properties, one NAME=VALUE a line, and "
        "sasl.password.file; TRUNKLINE_SASL_… and the like in the environment win.",
    ),
]


def connection(
    bootstrap_servers: str, *, client_id: str = "trunkline", properties: Path | None = None
) -> "ConnectionOptions":
    """The connection of a command, with the security properties of file and environment.

    Raises `InvalidInput` for a file that cannot be read and for what is no such property.
    """
    from trunkline.client.config import ConnectionOptions

    file = properties or _file_of_environment(os.environ)
    security = {
        **(with_password(read_properties(file), where=f"client properties {file}") if file else {}),
        **with_password(of_environment(os.environ), where="the environment"),
    }
    return ConnectionOptions(bootstrap_servers=bootstrap_servers, client_id=client_id, security=security)


def of_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The security properties among these variables, under librdkafka's names."""
    return {
        name.removeprefix(_PREFIX).lower().replace("_", "."): value
        for name, value in environment.items()
        if name.startswith(_VARIABLES)
    }


def without_security(environment: Mapping[str, str]) -> dict[str, str]:
    """These variables, without those that say who somebody is on the cluster."""
    return {
        name: value
        for name, value in environment.items()
        if name != ENVIRONMENT_FILE and not name.startswith(_VARIABLES)
    }


def with_password(properties: Mapping[str, str], *, where: str) -> dict[str, str]:
    """The properties with the password that `sasl.password.file` names, without its line's end.

    `where` they are from is for errors. Raises `InvalidInput` for a file that cannot be read or is empty, and
    for a password beside it.
    """
    found = dict(properties)
    name = found.pop(PASSWORD_FILE, None)
    if name is None:
        return found
    if PASSWORD in found:
        raise InvalidInput(f"{where}: both {PASSWORD} and {PASSWORD_FILE}; give one of them")
    try:
        password = Path(name).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{where}: {PASSWORD_FILE} {name}: {error}") from error
    if not password:
        raise InvalidInput(f"{where}: {PASSWORD_FILE} {name} is empty")
    return {**found, PASSWORD: password}


def read_properties(file: Path) -> dict[str, str]:
    """The properties in a file: NAME=VALUE a line, `#` begins a comment line. Raises `InvalidInput`."""
    try:
        lines = file.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"client properties {file}: {error}; correct --client-properties") from error
    found: dict[str, str] = {}
    for number, line in enumerate(map(str.strip, lines), start=1):
        if not line or line.startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not equals or not name.strip():
            raise InvalidInput(f"client properties {file}, line {number}: not NAME=VALUE")
        found[name.strip()] = value.strip()
    return found


def _file_of_environment(environment: Mapping[str, str]) -> Path | None:
    name = environment.get(ENVIRONMENT_FILE)
    return Path(name) if name else None
