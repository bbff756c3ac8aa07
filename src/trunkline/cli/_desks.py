"""The services' HTTP APIs as people of a tenant call them: clients with tokens, answers, waiting."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from trunkline.errors import TrunklineError

if TYPE_CHECKING:
    import httpx
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

WAIT_SECONDS: Final = 30.0
POLL_SECONDS: Final = 0.1
TOKEN_HOURS: Final = 2

Wait = Callable[[Callable[[], bool]], bool]


@dataclass(frozen=True, slots=True)
class Desks:
    """The services' APIs: where they are, and the key that signs tokens for them."""

    ports: Mapping[str, int]
    key: "Ed25519PrivateKey"

    def of(self, service: str, tenant: str, *scopes: str, subject: str = "ada") -> "httpx.Client":
        """A client that calls a service as somebody of a tenant."""
        import httpx

        from trunkline.services.kit.api.tokens import issue

        token = issue(
            self.key,
            tenant=tenant,
            subject=subject,
            scopes=scopes,
            now=datetime.now(UTC),
            lifetime=timedelta(hours=TOKEN_HOURS),
        )
        return httpx.Client(
            base_url=f"http://127.0.0.1:{self.ports[service]}/v1",
            headers={"authorization": f"Bearer {token}"},
            timeout=WAIT_SECONDS,
        )


def done(answer: "httpx.Response") -> Any:
    """What a service answered. Raises with the reason where it refused."""
    if answer.is_error:
        raise TrunklineError(f"{answer.request.method} {answer.request.url}: {answer.text}")
    return answer.json() if answer.content else None


def waiting(watch: Callable[[], None], *, seconds: float = WAIT_SECONDS) -> Wait:
    """Waits for a condition, and meanwhile looks after the processes."""

    def wait(until: Callable[[], bool]) -> bool:
        deadline = time.monotonic() + seconds
        while not until():
            if time.monotonic() > deadline:
                return False
            watch()
            time.sleep(POLL_SECONDS)
        return True

    return wait
