"""The last known good policies in a file, so that an instance starts with them while the cluster is away."""

import os
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Final

import msgspec

from trunkline.errors import TrunklineError
from trunkline.services.policies.bundle import Bundle
from trunkline.services.query.replica import View, tenant_policies

FORMAT: Final = 1
"""A file of another format is not read; the topic replaces it anyway."""

_encode: Final = msgspec.json.Encoder(order="deterministic").encode


class Damaged(TrunklineError):  # noqa: N818 - named for the state of the file
    """The file is not what was written, or was written by another version; it is not used."""


class _Tenant(msgspec.Struct, frozen=True, kw_only=True):
    bundle: Bundle
    tags: dict[str, str]


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    format: int
    digest: str
    tenants: list[_Tenant]


def keep(path: Path, view: View) -> None:
    """Replace the file by these policies, whole or not at all. Raises `OSError`."""
    tenants = [_Tenant(bundle=one.bundle, tags=dict(one.tags)) for _, one in sorted(view.items())]
    kept = _Kept(format=FORMAT, digest=_digest(tenants), tenants=tenants)
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    with fresh.open("wb") as file:
        file.write(_encode(kept))
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def kept(path: Path) -> View | None:
    """The policies in the file, None without one. Raises `Damaged`, and `OSError`."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=_Kept)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Damaged(f"{path} does not hold policies: {error}; it is not used") from error
    if found.format != FORMAT:
        raise Damaged(f"{path} has format {found.format}, not {FORMAT}; it is not used")
    if _digest(found.tenants) != found.digest:
        raise Damaged(f"{path} does not fit its own digest; it is not used")
    return MappingProxyType(
        {one.bundle.tenant: tenant_policies(one.bundle, one.tags) for one in found.tenants}
    )


def _digest(tenants: list[_Tenant]) -> str:
    return sha256(_encode(tenants)).hexdigest()
