import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic, sleep

import pytest

from trunkline.cli._processes import OF_ONE_SERVICE, Child
from trunkline.errors import Unavailable


def wait_for(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = monotonic() + seconds
    while not condition():
        assert monotonic() < deadline, "waited too long"
        sleep(0.02)


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return not Path(f"/proc/{pid}/stat").exists() or " Z " not in Path(f"/proc/{pid}/stat").read_text()


@pytest.fixture
def child(tmp_path: Path) -> Iterator[Child]:
    made = Child(
        "broker",
        ["broker", "--json", "--data-dir", str(tmp_path / "data"), "--port", "0"],
        log=tmp_path / "logs" / "broker.log",
    )
    yield made
    made.stop()


def test_start_returns_what_the_child_said_when_it_was_ready(child: Child) -> None:
    ready = child.start()
    assert ready["host"] == "127.0.0.1"
    assert child.pid is not None


def test_a_child_has_the_variables_that_it_is_given(tmp_path: Path) -> None:
    given = {**os.environ, "TRUNKLINE_CATALOGUE": str(tmp_path / "absent.yaml")}
    asked = Child("topics", ["topics", "--json"], log=tmp_path / "topics.log", environment=given)
    with pytest.raises(Unavailable, match=r"absent\.yaml"):
        asked.start()
    asked.stop()


def test_children_do_not_share_what_is_one_services_own(
    child: Child, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in OF_ONE_SERVICE:
        monkeypatch.setenv(name, "somebody's own")
    monkeypatch.setenv("TRUNKLINE_ACTOR", "somebody")
    child.start()
    known = Path(f"/proc/{child.pid}/environ").read_text()
    assert "TRUNKLINE_ACTOR=somebody\0" in known
    assert "somebody's own" not in known


def test_a_killed_child_is_started_again(child: Child) -> None:
    child.start()
    first = child.pid
    assert first is not None
    said: list[str] = []
    os.kill(first, signal.SIGKILL)

    def again() -> bool:
        child.watch(said.append)
        return child.pid not in (None, first)

    wait_for(again)
    assert said == ["broker ended (killed by SIGKILL); starting again in 0.2 s"]


def test_a_child_that_cannot_start_is_reported_in_its_own_words(child: Child, tmp_path: Path) -> None:
    child.start()
    second = Child(
        "broker",
        ["broker", "--json", "--data-dir", str(tmp_path / "data"), "--port", "0"],
        log=tmp_path / "logs" / "second.log",
    )
    with pytest.raises(Unavailable, match=r"broker did not start: data directory .* in use"):
        second.start()


def test_stop_ends_the_child_and_it_stays_ended(child: Child) -> None:
    child.start()
    pid = child.pid
    assert pid is not None
    child.stop()
    child.watch(lambda _: pytest.fail("a stopped child must not be started again"))
    assert not runs(pid)


def test_a_child_ends_with_its_parent_even_if_the_parent_is_killed(tmp_path: Path) -> None:
    parent = os.fork()
    if parent == 0:
        made = Child(
            "broker",
            ["broker", "--json", "--data-dir", str(tmp_path / "data"), "--port", "0"],
            log=tmp_path / "broker.log",
        )
        made.start()
        (tmp_path / "pid.part").write_text(str(made.pid))
        (tmp_path / "pid.part").rename(tmp_path / "pid")
        signal.pause()
    wait_for((tmp_path / "pid").exists)
    pid = int((tmp_path / "pid").read_text())
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    wait_for(lambda: not runs(pid))


def test_a_child_whose_log_is_json_is_reported_in_its_own_words_too(tmp_path: Path) -> None:
    service = Child("audit", ["service", "no-such-service", "--json"], log=tmp_path / "audit.log")
    with pytest.raises(Unavailable, match=r"audit did not start: .*no-such-service.* \(log: "):
        service.start()
