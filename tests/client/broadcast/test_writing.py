"""The event of a change says that change."""

from datetime import UTC, datetime
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from trunkline.client.broadcast.entries import FlagRule, Name, change_of
from trunkline.client.broadcast.writing import event_of, tenant_of
from trunkline.codec import decode, encode_checked, new_envelope
from trunkline.codec.record import Record

NOW = datetime(2026, 1, 1, tzinfo=UTC)

NAMES = st.sampled_from(
    [
        Name("value", "global", None, "a.b"),
        Name("value", "environment", "production", "a.b"),
        Name("value", "service", "query-engine", "a.b"),
        Name("value", "tenant", "acme", "a.b"),
        Name("flag", "global", None, "a.b"),
        Name("flag", "tenant", "acme", "a.b"),
    ]
)
RULES = st.builds(
    FlagRule,
    enabled=st.booleans(),
    rollout_percent=st.integers(0, 100),
    tiers=st.lists(st.sampled_from(["gold", "free"]), max_size=2).map(tuple),
    starts_at=st.none() | st.just(NOW),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(NAMES, RULES, JSON, st.booleans())
def test_what_is_read_back_from_the_topic_is_what_was_set(
    name: Name, rule: FlagRule, value: Any, unset: bool
) -> None:
    given_value = msgspec.UNSET if unset else rule if name.kind == "flag" else value
    event = event_of(name, given_value, version=7, actor="ana", reason="why")
    envelope = new_envelope(event, tenant=tenant_of(name), source="/config-service", time=NOW)
    encoded = encode_checked(envelope)
    record = Record("config.change.events", 0, 0, 0, encoded.key, encoded.value, tuple(encoded.headers))
    found, entry = change_of(decode(record))
    assert found == name
    assert (entry.version, entry.value) == (7, given_value)
