"""One service on a store of its own, without a broker: its context, its API, and what it has published."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, select

from trunkline.client.outbox.tables import OUTBOX_EVENT
from trunkline.client.store import Store, open_store
from trunkline.services import runnable
from trunkline.services.app import App, Context
from trunkline.services.kit.api.server import new_api
from trunkline.services.kit.api.tokens import Verifier, issue
from trunkline.services.kit.settings import FixedSettings
from trunkline.testing.suite.case import Case
from trunkline.testing.suite.harness import context_of

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

LIFETIME = timedelta(hours=1)


class Published(msgspec.Struct, frozen=True):
    """An event in the outbox."""

    tenant: str
    type: str
    id: str
    data: dict[str, Any]


class ServiceDesk:
    """A service whose clock is `now`, which a test may set."""

    def __init__(self, context: Context, *, now: datetime) -> None:
        self.now = now
        self.context = replace(context, wall=lambda: self.now)
        self.app: App = runnable(context.service).build(self.context)

    @property
    def store(self) -> Store:
        return self.context.store

    def published(self) -> list[Published]:
        """What it has added to its outbox, in order."""
        table = OUTBOX_EVENT.c
        query = select(table.aggregateid, table.type, table.id, table.payload).order_by(table.position)
        with self.store.read() as tx:
            return [
                Published(tenant, type_, id_, msgspec.json.decode(payload))
                for tenant, type_, id_, payload in tx.execute(query)
            ]

    def client(self, *, tenant: str = "acme", scopes: Sequence[str] = ()) -> "TestClient":
        """A client of its API, with a token of the tenant's."""
        from fastapi.testclient import TestClient

        assert self.app.router is not None
        key = Ed25519PrivateKey.generate()
        api = new_api(
            self.context.service,
            [self.app.router()],
            store=self.store,
            verifier=Verifier(key.public_key()),
            title="test",
        )
        now = datetime.now(UTC)
        token = issue(key, tenant=tenant, subject="ada", scopes=scopes, now=now, lifetime=LIFETIME)
        return TestClient(api, headers={"authorization": f"Bearer {token}"})


@contextmanager
def service_desk(
    service: str, url: str, directory: Path, *, now: datetime, settings: dict[str, Any] | None = None
) -> Iterator[ServiceDesk]:
    """The service on the store at `url`, migrated; `settings` are values for everybody by key."""
    case = Case(service=service, digest=_no_digest, settings=settings or {})
    with closing(open_store(url)) as store, context_of(case, store, directory, now=now) as context:
        assert isinstance(context.settings, FixedSettings)
        yield ServiceDesk(context, now=now)


def _no_digest(_tx: Connection) -> str:
    return ""
