"""Whether a name may be set to a value: level and scope, definition, size, secrets. Pure."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from trunkline.catalogue.model import Catalogue, near
from trunkline.catalogue.names import SYSTEM_TENANT, TENANT_PATTERN
from trunkline.client.broadcast.entries import ENTRY_BYTES_MAX, FlagRule, Name
from trunkline.errors import InvalidInput
from trunkline.services.config.secrets import secret_in
from trunkline.services.settings.registry import Definition, Registry, check_key

FLAG_LEVELS: Final = ("global", "tenant")


def check_name(name: Name, catalogue: Catalogue) -> None:
    """Raise `InvalidInput` for a name under which nothing can be set."""
    check_key(name.key)
    if name.kind == "flag" and name.level not in FLAG_LEVELS:
        raise InvalidInput(f"flag {name.key}: flags are set on the levels {' and '.join(FLAG_LEVELS)}")
    if name.level == "global":
        if name.scope is not None:
            raise InvalidInput(f"{name.key}: the level global has no scope, leave {name.scope!r} out")
        return
    if not name.scope:
        raise InvalidInput(f"{name.key}: say which {name.level}")
    if name.level == "environment":
        _check_known(name, name.scope, list(catalogue.environments))
    elif name.level == "service":
        _check_known(name, name.scope, list(catalogue.services))
    else:
        if not TENANT_PATTERN.fullmatch(name.scope):
            raise InvalidInput(
                f"{name.key}: tenant {name.scope[:80]!r}: use up to 64 letters, digits, '.', '_' or '-'"
            )
        if name.scope == SYSTEM_TENANT:
            raise InvalidInput(f"{name.key}: {SYSTEM_TENANT} is no tenant; set it on the level global")


def _check_known(name: Name, scope: str, known: Sequence[str]) -> None:
    if scope not in known:
        hint = near(scope, known) or f"; there are: {', '.join(known)}"
        raise InvalidInput(f"{name.key}: unknown {name.level} {scope!r}{hint}")


def check_value(name: Name, value: Any, registry: Registry) -> Definition[Any] | None:
    """What defines the setting, if anything does. Raises `InvalidInput` for what it cannot be set to.

    `value` is a JSON value, a `FlagRule`, or UNSET, which is always possible, so that what was set before
    its definition can be taken away.
    """
    if name.kind == "flag":
        _check_flag(name, value)
        return None
    if value is msgspec.UNSET:
        return registry.find(name.key)
    _check_json(name, value)
    found = secret_in(name.key, value)
    if found is not None:
        raise InvalidInput(
            f"{name.key}: {found}; every service would know it: set a reference, such as file:/run/secrets/x"
        )
    definition = registry.check_name(name.key, name.level)
    if definition is not None:
        definition.read(name.key, value)
    return definition


def _check_flag(name: Name, rule: Any) -> None:
    if rule is msgspec.UNSET:
        return
    try:
        msgspec.convert(msgspec.to_builtins(rule), FlagRule)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"flag {name.key}: {error}") from error


def _check_json(name: Name, value: Any) -> None:
    """What is read back must be what was set, or instances would have another digest than the service."""
    try:
        encoded = msgspec.json.encode(value)
        same = msgspec.json.decode(encoded) == value
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(f"{name.key}: the value is not JSON: {error}") from error
    if not same:
        raise InvalidInput(f"{name.key}: the value is not JSON: it would be read back as another one")
    if len(encoded) > ENTRY_BYTES_MAX:
        raise InvalidInput(
            f"{name.key}: the value takes {len(encoded)} bytes, at most {ENTRY_BYTES_MAX}; set a reference"
        )
