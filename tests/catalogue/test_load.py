"""A catalogue file is loaded whole or refused whole, with every problem at its line."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trunkline.catalogue.load import load_catalogue, parse_catalogue
from trunkline.catalogue.problems import CatalogueError
from trunkline.errors import InvalidInput

GOOD = """\
services:
  a-service: {title: A}
  b-service: {title: B}
environments:
  production:
    deployment: strimzi
    brokers: 3
    replication_factor: 3
    min_insync_replicas: 2
    retention_days: 30
    compression: snappy
    max_message_bytes: 1048588
    default_partitions: 6
topics:
  one.two.three:
    publisher: a-service
    consumers: [a-service, b-service]
    partitions: {production: 3}
  four.five.six:
    publisher: b-service
    consumers: all
"""

CONTRACT = {
    "tenant.lifecycle.events": ("tenant-service", "audit billing notification", 6),
    "query.execution.events": ("query-engine", "audit billing data-quality", 6),
    "ai.agent.events": ("ai-service", "audit billing", 6),
    "ml.model.events": ("ml-service", "audit catalog", 3),
    "pipeline.job.events": ("pipeline-service", "audit notification", 3),
    "data.quality.events": ("data-quality-service", "notification governance", 3),
    "billing.usage.events": ("billing-service", "notification", 3),
    "security.audit.events": ("iam-service", "audit", 6),
    "governance.policy.events": ("governance-service", "catalog query-engine", 3),
}


def problems(text: str) -> list[tuple[int, str]]:
    with pytest.raises(CatalogueError) as refused:
        parse_catalogue(text, file="contract.yaml")
    assert all(problem.file == "contract.yaml" for problem in refused.value.problems)
    assert str(refused.value).count("\n") == len(refused.value.problems) - 1
    return [(problem.line, problem.message) for problem in refused.value.problems]


def changed(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new, 1)


@pytest.mark.parametrize("name", sorted(CONTRACT))
def test_the_packaged_contract_is_exactly_the_contract(name: str) -> None:
    publisher, consumers, partitions = CONTRACT[name]
    topic = load_catalogue().topic(name)
    expected = {word if word == "query-engine" else f"{word}-service" for word in consumers.split()}
    assert topic.publisher == publisher
    assert set(topic.consumers) == expected
    assert topic.partitions == {"development": 3, "production": partitions}


def test_every_service_consumes_configuration() -> None:
    catalogue = load_catalogue()
    topic = catalogue.topic("config.change.events")
    assert len(catalogue.topics) == len(CONTRACT) + 1
    assert topic.publisher == "config-service"
    assert len(topic.consumers) == len(catalogue.services) == 13
    assert topic.partitions == {"development": 3, "production": 3}


@pytest.mark.parametrize(
    ("name", "brokers", "replicas", "in_sync", "days"),
    [("development", 1, 1, 1, 7), ("production", 3, 3, 2, 30)],
)
def test_the_packaged_environments_are_exactly_the_contracts(
    name: str, brokers: int, replicas: int, in_sync: int, days: int
) -> None:
    environment = load_catalogue().environment(name)
    assert environment.deployment == "strimzi"
    assert environment.brokers == brokers
    assert (environment.replication_factor, environment.min_insync_replicas) == (replicas, in_sync)
    assert environment.retention_ms == days * 24 * 3_600 * 1_000
    assert environment.compression == "snappy"
    assert environment.max_message_bytes == 1_048_588


def test_consumers_share_a_topic_in_a_group_unless_the_file_says_otherwise() -> None:
    text = changed("    consumers: all", "    consumers: all\n    groups: [b-service]")
    catalogue = parse_catalogue(text, file="contract.yaml")
    assert [topic.name for topic in catalogue.shared_by("a-service")] == ["one.two.three"]
    assert [topic.name for topic in catalogue.shared_by("b-service")] == ["one.two.three", "four.five.six"]


def test_a_users_file_replaces_the_packaged_one(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(GOOD)
    catalogue = load_catalogue(path)
    assert list(catalogue.topics) == ["one.two.three", "four.five.six"]
    assert catalogue.partitions("four.five.six", "production") == 6
    assert catalogue.topic("four.five.six").consumers == ("a-service", "b-service")


# ruff: noqa: E501 - a table is read by its columns
REFUSED = [
    ("", 1, "a catalogue is a mapping of services, environments and topics"),
    ("[]", 1, "a catalogue is a mapping of services, environments and topics"),
    ("services: [", 1, "not YAML"),
    ("a: b: c", 1, "not YAML: mapping values are not allowed here"),
    ("services: \x00", 1, "not YAML"),
    ("a: &x [*y]", 1, "not YAML: found undefined alias"),
    ("[" * 100, 1, "nested deeper than 20 levels"),
    ("services: {a: {title: A}}", 1, "the catalogue has no topics"),
    (GOOD + "extra: 1\n", 22, "the catalogue has an unknown key 'extra'; known are services"),
    (changed("topics:", "topic:"), 14, "unknown key 'topic'; did you mean topics?"),
    (changed("  one.two.three:", "  One.two.three:"), 15, "topic 'One.two.three' is not {domain}.{entity}.{action}"),
    (changed("  one.two.three:", "  one.two:"), 15, "topic 'one.two' is not {domain}.{entity}.{action}"),
    (changed("four.five.six", "one.two.three"), 19, "topics has 'one.two.three' twice"),
    (changed("publisher: a-service", "publisher: a-servcie"), 16, "unknown service 'a-servcie'; did you mean a-service"),
    (changed("    publisher: a-service\n", ""), 15, "topic one.two.three has no publisher"),
    (changed("publisher: a-service", "publisher: [a-service, b-service]"), 16, "has 2 publishers; a topic has exactly one"),
    (changed("    consumers: all", "    publisher: a-service\n    consumers: all"), 21, "topic four.five.six has 'publisher' twice"),
    (changed("publisher: a-service", "publisher: {x: 1}"), 16, "publisher of topic one.two.three must be a text"),
    (changed("publisher: a-service", "publisher: 5"), 16, "publisher of topic one.two.three must be a text"),
    (changed("[a-service, b-service]", "[a-service, c-service]"), 17, "consumers of topic one.two.three: unknown service 'c-service'"),
    (changed("[a-service, b-service]", "[a-service, a-service]"), 17, "a-service is named twice"),
    (changed("[a-service, b-service]", "[]"), 17, "must be a list of at least one service, or `all`"),
    (changed("[a-service, b-service]", "a-service"), 17, "must be a list of at least one service, or `all`"),
    (changed("    consumers: all\n", ""), 19, "topic four.five.six has no consumers"),
    (changed("    consumers: all", "    consumers: [a-service]\n    groups: [b-service]"), 22, "groups of topic four.five.six: b-service is not one of its consumers"),
    (changed("partitions: {production: 3}", "partitions: {production: 0}"), 18, "in production must be at least 1, not 0"),
    (changed("partitions: {production: 3}", "partitions: {production: many}"), 18, "must be a whole number, not 'many'"),
    (changed("partitions: {production: 3}", "partitions: {prod: 3}"), 18, "unknown key 'prod'; did you mean production?"),
    (changed("partitions: {production: 3}", "partitions: 3"), 18, "partitions of topic one.two.three must be a mapping"),
    (changed("    partitions: {production: 3}", "    owner: me"), 18, "topic one.two.three has an unknown key 'owner'"),
    (changed("replication_factor: 3", "replication_factor: 4"), 8, "replication_factor 4 is above its brokers 3"),
    (changed("min_insync_replicas: 2", "min_insync_replicas: 4"), 9, "min_insync_replicas 4 is above its replication_factor 3"),
    (changed("retention_days: 30", "retention_days: -1"), 10, "retention_days of environment production must be at least 1, not -1"),
    (changed("retention_days: 30", "retention_days: 1.5"), 10, "must be a whole number, not '1.5'"),
    (changed("retention_days: 30", "retention_days: 99999999999"), 10, "must be at most 2147483647"),
    (changed("brokers: 3", "brokers: [3]"), 7, "brokers of environment production must be a whole number"),
    (changed("brokers: 3", "brokers: 0x3"), 7, "must be a whole number, not '0x3'"),
    (changed("compression: snappy", "compression: snapy"), 11, "is unknown: 'snapy'; did you mean snappy?"),
    (changed("deployment: strimzi", "deployment: docker"), 6, "is unknown: 'docker'; known are strimzi, embedded"),
    (changed("    max_message_bytes: 1048588\n", ""), 5, "environment production has no max_message_bytes"),
    (changed("  b-service: {title: B}", "  B_service: {title: B}"), 3, "service 'B_service' is not lower-case words"),
    (changed("{title: B}", "{}"), 3, "service b-service has no title"),
    (changed("{title: B}", "{title: ''}"), 3, "title of service b-service must be a text"),
    (changed("  b-service: {title: B}", "  ? [x]\n  : {title: B}"), 3, "services has a key that is not a name"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line", "message"), REFUSED)
def test_a_faulty_file_is_refused_with_the_line_and_a_sentence(text: str, line: int, message: str) -> None:
    found = problems(text)
    assert any(at == line and message in said for at, said in found), found


def test_all_problems_are_reported_at_once_in_the_order_of_the_file() -> None:
    text = (
        GOOD.replace("{title: B}", "{titel: B}")
        .replace("replication_factor: 3", "replication_factor: 5")
        .replace("publisher: a-service", "publisher: nobody")
        .replace("partitions: {production: 3}", "partitions: {production: -3}")
    )
    assert problems(text) == [
        (3, "service b-service has an unknown key 'titel'; did you mean title?"),
        (3, "service b-service has no title"),
        (8, "environment production: replication_factor 5 is above its brokers 3"),
        (16, "publisher of topic one.two.three: unknown service 'nobody'"),
        (18, "partitions of topic one.two.three in production must be at least 1, not -3"),
    ]


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "No such file"), (b"\xff\xfe", "not UTF-8"), (b"#" * 1_048_577, "larger than 1048576 bytes")],
)
def test_a_file_that_cannot_be_read_says_why(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "contract.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InvalidInput, match=words):
        load_catalogue(path)


@settings(max_examples=300, deadline=None)
@given(
    place=st.integers(0, len(GOOD)),
    cut=st.integers(0, 30),
    pasted=st.text(max_size=4)
    | st.sampled_from(["[", "{", "*a", "&a ", "? ", "!!int ", "<<: ", "- ", "\t", "1_0"]),
)
def test_a_damaged_file_is_loaded_or_refused_and_never_a_crash(place: int, cut: int, pasted: str) -> None:
    problem: CatalogueError | None = None
    try:
        parse_catalogue(GOOD[:place] + pasted + GOOD[place + cut :], file="contract.yaml")
    except CatalogueError as error:
        problem = error
    assert problem is None or all(item.line >= 1 and item.message for item in problem.problems)


def test_an_alias_of_itself_is_refused() -> None:
    assert problems(changed("[a-service, b-service]", "&loop [*loop]")) == [
        (17, "consumers of topic one.two.three must be a text")
    ]
