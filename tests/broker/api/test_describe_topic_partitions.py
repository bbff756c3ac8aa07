"""Topics come in pages that join without a gap."""

from trunkline.broker.protocol.errors import ErrorCode
from trunkline.broker.protocol.messages.metadata import (
    Cursor,
    DescribeTopicPartitionsRequest,
    DescribeTopicPartitionsResponse,
    TopicRequest,
)
from trunkline.testing.api_desk import ApiDesk


def page(
    desk: ApiDesk, *names: str, limit: int = 2000, cursor: Cursor | None = None
) -> DescribeTopicPartitionsResponse:
    request = DescribeTopicPartitionsRequest(
        topics=[TopicRequest(name=name) for name in names], response_partition_limit=limit, cursor=cursor
    )
    return desk.ask(request, 0, DescribeTopicPartitionsResponse)


def test_pages_join_without_a_gap(desk: ApiDesk) -> None:
    names = sorted(desk.topic(partitions=count) for count in (3, 1, 4))
    seen: list[tuple[str | None, int]] = []
    cursor, pages = None, 0
    while pages == 0 or cursor is not None:
        answer = page(desk, *names, limit=2, cursor=cursor)
        seen += [(topic.name, part.partition_index) for topic in answer.topics for part in topic.partitions]
        cursor, pages = answer.next_cursor, pages + 1
    assert pages == 4
    assert seen == [
        (topic.name, part.partition_index) for topic in page(desk, *names).topics for part in topic.partitions
    ]
    assert len(seen) == 8


def test_no_names_mean_all_topics(desk: ApiDesk) -> None:
    name = desk.topic()
    assert name in {topic.name for topic in page(desk).topics}


def test_lists_that_clients_read_are_never_null(desk: ApiDesk) -> None:
    (topic,) = page(desk, desk.topic()).topics
    assert topic.partitions[0].eligible_leader_replicas == []
    assert topic.partitions[0].last_known_elr == []


def test_an_unknown_topic_says_so(desk: ApiDesk) -> None:
    (topic,) = page(desk, "nobody.knows.it").topics
    assert topic.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
