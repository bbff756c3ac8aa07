"""The probes over HTTP."""

import urllib.error
import urllib.request

import msgspec
import pytest

from trunkline.cli import _health
from trunkline.errors import Unavailable


def ask(port: int | None, path: str) -> tuple[int, object]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, msgspec.json.decode(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, msgspec.json.decode(error.read())


def test_probes_say_whether_and_why_not() -> None:
    reasons: list[str] = []
    with _health.serving(0, host="127.0.0.1", live=list, ready=lambda: reasons) as port:
        assert ask(port, "/readyz") == (200, {"ok": True, "reasons": []})
        reasons.append("not joined yet")
        assert ask(port, "/readyz?verbose") == (503, {"ok": False, "reasons": ["not joined yet"]})
        assert ask(port, "/livez") == (200, {"ok": True, "reasons": []})
        assert ask(port, "/") == (404, {"error": "ask for /livez or /readyz"})


def test_a_port_in_use_is_named() -> None:
    with _health.serving(0, host="127.0.0.1", live=list, ready=list) as port:
        second = _health.serving(port, host="127.0.0.1", live=list, ready=list)
        with pytest.raises(Unavailable, match="choose another --health-port"), second:
            pass


def test_without_a_port_nothing_is_served() -> None:
    with _health.serving(None, host="127.0.0.1", live=list, ready=list) as port:
        assert port is None
