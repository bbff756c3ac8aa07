"""The log of Kafka's authoriser. The lines are what Kafka 4.3 has written; a test on Kafka compares them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.operate.authorizer_log import HOSTS_MAX, Attempt, read_authorizer_log

ALLOWED = (
    "2026-11-24 01:43:23,517 DEBUG Principal = User:audit-service is Allowed operation = READ from host = "
    "127.0.0.1 on resource = Topic:LITERAL:trunkline.tenant.ends for request = Fetch with resourceRefCount = "
    "1 based on rule MatchingAcl(acl=StandardAcl[resourceType=TOPIC, resourceName=trunkline.tenant.ends, "
    "patternType=LITERAL, principal=User:audit-service, host=*, operation=READ, permissionType=ALLOW])"
)
DENIED = (
    "[2026-11-24 01:42:49,558] INFO Principal = User:CN=audit-service,O=Example Ltd is Denied operation = "
    "DESCRIBE_CONFIGS from host = 10.0.0.7 on resource = Cluster:LITERAL:kafka-cluster for request = "
    "Metadata with resourceRefCount = 1 based on rule DefaultDeny (kafka.authorizer.logger)"
)
OLDER = (
    "[2024-01-02 03:04:05,678] INFO Principal = User:old is Denied Operation = DescribeConfigs from host = "
    "10.0.0.7 on resource = TransactionalId:LITERAL:tx for request = X with resourceRefCount = 1 "
    "(kafka.authorizer.logger)"
)


def test_what_was_allowed_is_counted() -> None:
    found = read_authorizer_log([ALLOWED, "something else", ALLOWED])
    (attempt,) = found.allowed
    assert attempt == Attempt("User:audit-service", "Read", "topic", "trunkline.tenant.ends")
    assert found.allowed[attempt].count == 2
    assert found.allowed[attempt].last == "2026-11-24 01:43:23"
    assert found.denied == {}
    assert found.span == "2026-11-24 01:43:23 to 2026-11-24 01:43:23"


def test_what_was_denied_is_told_with_its_hosts() -> None:
    found = read_authorizer_log([DENIED])
    (attempt,) = found.denied
    expected = Attempt("User:CN=audit-service,O=Example Ltd", "DescribeConfigs", "cluster", "kafka-cluster")
    assert attempt == expected
    assert found.denied[attempt].hosts == {"10.0.0.7"}


def test_the_lines_of_an_older_kafka_are_read() -> None:
    assert list(read_authorizer_log([OLDER]).denied) == [
        Attempt("User:old", "DescribeConfigs", "transactional_id", "tx")
    ]


@given(st.permutations([ALLOWED, DENIED, OLDER, ALLOWED.replace("11-24", "11-25")]))
def test_the_order_of_files_does_not_matter(lines: list[str]) -> None:
    found = read_authorizer_log(lines)
    assert (found.first, found.last) == ("2024-01-02 03:04:05", "2026-11-25 01:43:23")
    assert found.allowed[Attempt("User:audit-service", "Read", "topic", "trunkline.tenant.ends")].count == 2


@given(st.lists(st.text()))
def test_any_text_is_read(lines: list[str]) -> None:
    read_authorizer_log(lines)


@pytest.mark.parametrize("number", [1, HOSTS_MAX + 30])
def test_hosts_are_bounded(number: int) -> None:
    found = read_authorizer_log(DENIED.replace("10.0.0.7", f"10.0.0.{one}") for one in range(number))
    (times,) = found.denied.values()
    assert times.count == number
    assert len(times.hosts) == min(number, HOSTS_MAX)
