"""What the config service itself can be told."""

from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from trunkline.catalogue.events.fields import whole
from trunkline.services.settings.registry import Definition

CHANNEL: Final = "config:changes"


class RedisTarget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where applied changes are repeated on a Pub/Sub channel. `password` names the file that has it."""

    url: Annotated[str, Meta(pattern=whole(r"(?:rediss?|unix)://\S+"), max_length=500)]
    channel: Annotated[str, Meta(min_length=1, max_length=200)] = CHANNEL
    password: Annotated[str, Meta(pattern=whole("file:/.+"), max_length=500)] | None = None

    def secret(self) -> str | None:
        """The password, None where there is none. Raises `OSError`."""
        if self.password is None:
            return None
        return Path(self.password.removeprefix("file:")).read_text().strip()


REDIS: Final[Definition[RedisTarget]] = Definition(
    "config.redis",
    RedisTarget,
    levels=("global", "environment", "service"),
    title="The Redis on which changes are repeated for listeners",
)
DEFINITIONS: Final = (REDIS,)
