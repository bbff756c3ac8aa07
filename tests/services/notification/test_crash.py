"""kill -9 between lease, send and record: nothing lost, at most one more copy a crash and delivery."""

import random
import signal
import subprocess
import sys
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from trunkline.catalogue.events.pipeline import PipelineRunFailed
from trunkline.testing.notification_actor import LEASE_S
from trunkline.testing.notification_desk import NotificationDesk
from trunkline.testing.webhook_sink import WebhookSink

DELIVERIES = 60
CRASHES = 6
DEADLINE_S = 30.0

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


def failed(number: int) -> PipelineRunFailed:
    return PipelineRunFailed(
        run_id="r", job=f"job-{number}", namespace="dwh", duration_ms=1, error_code="boom", message="it broke"
    )


@pytest.mark.parametrize("failpoint", ["notification.leased", "notification.sent"])
def test_kills_lose_nothing_and_double_little(store_url: str, tmp_path: Path, failpoint: str) -> None:
    """Every crash moves the clock behind the leases of the dead; ids stay what they were."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    with NotificationDesk(store_url, tmp_path / "data") as desk, WebhookSink() as sink:
        desk.webhook(sink.url)
        desk.handle(*(desk.event(failed(number)) for number in range(DELIVERIES)))
        crashes = 0
        for attempt in range(10 * CRASHES):
            now = desk.now + timedelta(seconds=attempt * (LEASE_S + 1))
            skip = chance.randrange(12) if attempt < CRASHES else 10**6
            command = [sys.executable, "-m", "trunkline.testing.notification_actor", store_url]
            command += [str(tmp_path / "data"), sink.url, failpoint, str(skip), str(now.timestamp())]
            ended = subprocess.run(command, timeout=DEADLINE_S, check=False, capture_output=True, text=True)
            assert ended.returncode in (0, -signal.SIGKILL), ended.stderr
            crashes += ended.returncode != 0
            if ended.returncode == 0:
                break
        assert crashes, "the test has not crashed anything"
        assert set(desk.states("hook")) == {"sent"}
        copies = Counter(request.id for request in sink.requests)
        assert set(copies) == {delivery.id for delivery in desk.deliveries("hook")}
        assert len(copies) == DELIVERIES
        assert max(copies.values()) <= 1 + crashes
        doubled = sum(copies.values()) - DELIVERIES
        # As many as were under way at once can be doubled by a crash, each of them once.
        assert doubled <= crashes * 3
        print(f"{crashes} crashes, {doubled} copies of {DELIVERIES}")
