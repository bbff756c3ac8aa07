"""Who calls: a signed token says for which tenant and what for. No parameter does.

Tokens are JWTs (RFC 7519) signed with Ed25519 (RFC 8037). Services need the public key only; `trunkline
token` issues tokens where the private one is.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Final

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from fastapi import Depends, Request

from trunkline.catalogue.names import SYSTEM_TENANT, TENANT_PATTERN
from trunkline.errors import InvalidInput
from trunkline.services.kit.api.problems import Problem
from trunkline.services.kit.api.scopes import OPERATOR
from trunkline.services.kit.secret_files import make_once, replace

AUDIENCE: Final = "trunkline"
ALGORITHM: Final = "EdDSA"
LEEWAY_SECONDS: Final = 30
LIFETIME_MAX: Final = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: a `subject` of a `tenant`, with the scopes of its token."""

    tenant: str
    subject: str
    scopes: frozenset[str]

    @property
    def is_operator(self) -> bool:
        """Whether it may act for the platform itself."""
        return OPERATOR in self.scopes and self.tenant == SYSTEM_TENANT


class Verifier:
    """Checks tokens with the public key."""

    def __init__(self, key: Ed25519PublicKey) -> None:
        self._key = key

    def caller(self, token: str) -> Caller:
        """Raises `Problem` 401 for a token that is expired, forged or not meant for Trunkline."""
        try:
            claims = jwt.decode(
                token,
                self._key,
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "sub", "aud"]},
            )
        except jwt.InvalidTokenError as error:
            raise _unauthorised(f"the token is not valid: {error}") from error
        tenant, scope = claims.get("tenant"), claims.get("scope", "")
        if not isinstance(tenant, str) or not TENANT_PATTERN.fullmatch(tenant) or not isinstance(scope, str):
            raise _unauthorised("the token names no tenant")
        return Caller(tenant, str(claims["sub"]), frozenset(scope.split()))


def issue(
    key: Ed25519PrivateKey,
    *,
    tenant: str,
    subject: str,
    scopes: Iterable[str],
    now: datetime,
    lifetime: timedelta,
) -> str:
    """A token. Raises `InvalidInput` for a tenant that cannot be, or a life longer than `LIFETIME_MAX`."""
    if not TENANT_PATTERN.fullmatch(tenant):
        raise InvalidInput(f"tenant {tenant[:80]!r}: use up to 64 letters, digits, '.', '_' or '-'")
    if not timedelta(0) < lifetime <= LIFETIME_MAX:
        raise InvalidInput(f"a token lives up to {LIFETIME_MAX.days} days")
    claims = {
        "sub": subject,
        "aud": AUDIENCE,
        "tenant": tenant,
        "scope": " ".join(sorted(scopes)),
        "iat": now,
        "exp": now + lifetime,
    }
    return jwt.encode(claims, key, algorithm=ALGORITHM)


def load_or_create_key(path: Path) -> Ed25519PrivateKey:
    """The key that signs tokens, made on first use with its public half beside it. Raises `InvalidInput`."""
    try:
        if not path.exists():
            private = Ed25519PrivateKey.generate().private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            make_once(path, private)
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
        if not isinstance(key, Ed25519PrivateKey):
            raise InvalidInput(f"token key {path} is not an Ed25519 key")
        _publish(key, public_path(path))
    except OSError as error:
        raise InvalidInput(f"token key {path}: {error.strerror}") from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise InvalidInput(
            f"token key {path}: it cannot be read as an Ed25519 key without password"
        ) from error
    return key


def _publish(key: Ed25519PrivateKey, path: Path) -> None:
    """The public half follows the private one, also where whoever made that died before this."""
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    if not path.exists() or path.read_bytes() != public:
        replace(path, public)


def load_verifier(path: Path) -> Verifier:
    """What checks tokens, from the file of the public key. Raises `InvalidInput`."""
    try:
        key = serialization.load_pem_public_key(path.read_bytes())
    except OSError as error:
        raise InvalidInput(f"token key {path}: {error.strerror}; `trunkline token` makes one") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InvalidInput(f"token key {path}: it is not a public key in PEM") from error
    if not isinstance(key, Ed25519PublicKey):
        raise InvalidInput(f"token key {path} is not an Ed25519 public key")
    return Verifier(key)


def public_path(path: Path) -> Path:
    """Where the public half of a key is."""
    return path.with_suffix(".pub.pem")


def _caller(request: Request) -> Caller:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise _unauthorised("send `Authorization: Bearer TOKEN`; `trunkline token` issues one")
    verifier: Verifier = request.app.state.verifier
    return verifier.caller(token.strip())


def _operator(who: Annotated[Caller, Depends(_caller)]) -> Caller:
    if not who.is_operator:
        raise Problem(403, f"this needs a token of tenant {SYSTEM_TENANT} with the scope {OPERATOR}")
    return who


caller: Final = Depends(_caller)
"""A route's parameter `who: Annotated[Caller, caller]`: 401 without a valid token."""

operator: Final = Depends(_operator)
"""As `caller`, and 403 for anybody who is not the platform's operator."""


def scoped(scope: str) -> Any:
    """As `caller`, and 403 for a token without the scope, before anything else is looked at."""

    def holder(who: Annotated[Caller, Depends(_caller)]) -> Caller:
        if scope not in who.scopes:
            raise Problem(403, f"this needs a token with the scope {scope}")
        return who

    return Depends(holder)


def _unauthorised(detail: str) -> Problem:
    return Problem(401, detail, headers={"www-authenticate": "Bearer"})
