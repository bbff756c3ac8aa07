"""What passes by itself, such as brokers that are down: said once, then now and then, and when it is over.

The Kafka library repeats itself every second or two for as long as a broker is away. Sans-IO: the time is an
argument, in seconds.
"""

from dataclasses import dataclass
from typing import Final

TELL_AGAIN_SECONDS: Final = 60.0
QUIET_SECONDS: Final = 5.0
"""What has not been heard of for so long, while the cluster answers, is over."""


@dataclass(slots=True)
class _Episode:
    since: float
    last: float
    told: float
    times: int = 1


@dataclass(frozen=True, slots=True)
class Passed:
    """Trouble that is over: how many seconds it lasted and how often the library spoke of it."""

    seconds: float
    times: int


class Trouble:
    """Keeps an episode for each error code."""

    def __init__(self) -> None:
        self._episodes: dict[str, _Episode] = {}

    def __bool__(self) -> bool:
        """Whether there is some."""
        return bool(self._episodes)

    def met(self, code: str, now: float) -> bool:
        """The library spoke of it; returns whether that is worth a line."""
        episode = self._episodes.get(code)
        if episode is None:
            self._episodes[code] = _Episode(now, now, now)
            return True
        episode.last = now
        episode.times += 1
        if now - episode.told < TELL_AGAIN_SECONDS:
            return False
        episode.told = now
        return True

    def answered(self, now: float) -> Passed | None:
        """The cluster did what it was asked; returns what is over by that."""
        over = {
            code: episode for code, episode in self._episodes.items() if now - episode.last >= QUIET_SECONDS
        }
        if not over:
            return None
        for code in over:
            del self._episodes[code]
        since = min(episode.since for episode in over.values())
        last = max(episode.last for episode in over.values())
        return Passed(last - since, sum(episode.times for episode in over.values()))
