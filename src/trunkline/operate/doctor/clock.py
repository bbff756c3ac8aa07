"""This machine's clock against those of others, by the newest records. Pure.

No request of Kafka's protocol answers with a broker's time, and the contract's topics keep the time at which
an event was made. So this compares with who has written last: a record from the future shows that this clock
is behind or the writer's ahead, and a record of this moment that both agree. An old record shows nothing.
"""

from collections.abc import Mapping
from typing import Final

from trunkline.client.broadcast.acknowledgement import ACKNOWLEDGE_SECONDS
from trunkline.operate.doctor.findings import Family, Finding, failed, not_checked, ok, warning

CLOCK: Final = Family.CLOCK
AHEAD_MS_MAX: Final = 2_000
"""More is a clock that nobody keeps: NTP holds machines within milliseconds."""

REFUSED_MS: Final = 3_600_000
"""A broker refuses what is further ahead of its own clock (`message.timestamp.after.max.ms`, KIP-937)."""

FRESH_MS: Final = 2_000 + round(2 * ACKNOWLEDGE_SECONDS * 1_000)
"""Every running instance of a service writes more often than that."""

ADVICE: Final = "synchronise this machine and the publishers' with NTP"


def judge(newest: Mapping[str, int], *, now_ms: int) -> Finding:
    """`newest` is the latest timestamp of each topic that has records, in Unix milliseconds.

    `now_ms` is this machine's time after the answer has come.
    """
    if not newest:
        return not_checked(CLOCK, "", "no topic holds a record to compare this machine's clock with")
    topic, latest = max(newest.items(), key=lambda item: item[1])
    ahead = latest - now_ms
    if ahead > REFUSED_MS:
        return failed(
            CLOCK,
            "",
            f"the newest record of {topic} is {_span(ahead)} in the future, and brokers refuse what is so "
            "far ahead of their own clock: this machine's is behind",
            ADVICE,
        )
    if ahead > AHEAD_MS_MAX:
        return warning(
            CLOCK,
            "",
            f"the newest record of {topic} is {_span(ahead)} in the future: this machine's clock is behind, "
            "or its publisher's ahead",
            ADVICE,
        )
    if -ahead <= FRESH_MS:
        return ok(CLOCK, "", f"agrees within {_span(abs(ahead))} with who has just written to {topic}")
    return not_checked(
        CLOCK,
        "",
        f"no record is from the future; the newest, of {topic}, is {_span(-ahead)} old, so that a clock that "
        "is ahead would not show",
    )


def _span(ms: int) -> str:
    seconds = ms / 1_000
    if seconds < 120:
        return f"{seconds:.1f} s"
    if seconds < 7_200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3_600:.1f} h"
