"""Topics in a consumer's metadata, against kafka-python's encoder."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.protocol.consumer.metadata import ConsumerProtocolSubscription

from trunkline.broker.group.subscription import subscribed_topics

TOPICS = st.lists(st.from_regex(r"[a-z.]{1,20}", fullmatch=True), max_size=5)


@given(TOPICS, st.integers(0, 3), st.binary(max_size=20))
def test_the_topics_of_every_version_are_found(topics: list[str], version: int, user_data: bytes) -> None:
    encoded = ConsumerProtocolSubscription(
        topics=topics, user_data=user_data, owned_partitions=[], version=version
    ).encode(version=version)
    assert subscribed_topics(bytes(encoded)) == set(topics)


@given(st.binary(max_size=60))
def test_nonsense_names_no_topics_and_raises_nothing(metadata: bytes) -> None:
    subscribed_topics(metadata)


@pytest.mark.parametrize("metadata", [b"", b"\0\0", b"\0\0\x7f\xff\xff\xff", b"\0\0\0\0\0\1\0\2\xff\xff"])
def test_truncated_metadata_names_no_topics(metadata: bytes) -> None:
    assert subscribed_topics(metadata) == set()
