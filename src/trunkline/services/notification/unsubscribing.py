"""The link in a mail that takes its user out: RFC 8058, without a login, for this user and purpose alone."""

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final, NamedTuple

import msgspec
from sqlalchemy import Connection, select

from trunkline.catalogue.names import SYSTEM_TENANT
from trunkline.client.store import Store
from trunkline.errors import InvalidInput
from trunkline.services.kit.keys import KeyRing
from trunkline.services.notification.rows import insert_new
from trunkline.services.notification.tables import SECRET

PATH: Final = "/v1/unsubscribe/"
TOKEN_MAX: Final = 2_048
_NAME: Final = "_unsubscribe"
_PLACE: Final = "notification_secret.unsubscribe"
_TAG_BYTES: Final = 32


class Purpose(NamedTuple):
    """Who wants to hear no more of what, and where."""

    tenant: str
    user: str
    category: str
    channel: str


class Unsubscribing:
    """Makes and reads the tokens of such links. They do not expire: the mail does not, either."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    @classmethod
    def on(cls, store: Store, keys: KeyRing) -> "Unsubscribing":
        """With the key that all instances on the store share; made on first use."""
        with store.write() as tx:
            fresh = keys.seal(SYSTEM_TENANT, secrets.token_bytes(32), place=_PLACE)
            insert_new(
                tx, SECRET, [{"tenant": SYSTEM_TENANT, "name": _NAME, "value": fresh, "changed_us": 0}]
            )
            sealed = _stored(tx)
        key = keys.unseal(SYSTEM_TENANT, sealed, place=_PLACE)
        assert key is not None, "the system's key is never destroyed"
        return cls(key)

    def token(self, purpose: Purpose) -> str:
        """The token of a link."""
        body = msgspec.json.encode(purpose)
        return urlsafe_b64encode(self._tag(body) + body).decode().rstrip("=")

    def purpose(self, token: str) -> Purpose:
        """What a token is for. Raises `InvalidInput` for one that is not ours."""
        body = self._verified(token)
        if body is None:
            raise InvalidInput("this link is not one of ours, or was cut")
        return msgspec.json.decode(body, type=Purpose)

    def _verified(self, token: str) -> bytes | None:
        if len(token) > TOKEN_MAX:
            return None
        try:
            decoded = urlsafe_b64decode(token + "=" * (-len(token) % 4))
        except ValueError:
            return None
        tag, body = decoded[:_TAG_BYTES], decoded[_TAG_BYTES:]
        return body if hmac.compare_digest(tag, self._tag(body)) else None

    def _tag(self, body: bytes) -> bytes:
        return hmac.digest(self._key, body, hashlib.sha256)


def _stored(tx: Connection) -> bytes:
    query = select(SECRET.c.value).where(SECRET.c.tenant == SYSTEM_TENANT, SECRET.c.name == _NAME)
    value: bytes = tx.execute(query).scalar_one()
    return bytes(value)
