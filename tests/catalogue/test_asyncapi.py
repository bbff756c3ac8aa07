"""The AsyncAPI document is whole: every reference leads somewhere, everybody's part is in it."""

import json
from collections.abc import Iterator
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # ships no types
import pytest

from trunkline.catalogue.asyncapi import asyncapi_document
from trunkline.catalogue.events import EVENT_TYPES
from trunkline.catalogue.load import load_catalogue

CATALOGUE = load_catalogue()
DOCUMENT = asyncapi_document(CATALOGUE, environment=CATALOGUE.environment("production"), version="1.2.3")


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref":
                yield value
            else:
                yield from references(value)
    elif isinstance(node, list):
        for item in node:
            yield from references(item)


def resolve(reference: str) -> Any:
    node: Any = DOCUMENT
    for step in reference.removeprefix("#/").split("/"):
        node = node[step]
    return node


def test_the_document_says_what_it_is() -> None:
    assert DOCUMENT["asyncapi"] == "3.0.0"
    assert DOCUMENT["info"]["version"] == "1.2.3"
    assert set(DOCUMENT) == {"asyncapi", "info", "defaultContentType", "channels", "operations", "components"}
    assert json.loads(json.dumps(DOCUMENT))


def test_every_reference_leads_somewhere() -> None:
    found = list(references(DOCUMENT))
    assert found
    assert all(isinstance(resolve(reference), dict) for reference in found)


def test_every_event_type_is_a_message_of_its_channel() -> None:
    carried = {name: set(channel["messages"]) for name, channel in DOCUMENT["channels"].items()}
    assert carried == {
        topic: {event.type for event in EVENT_TYPES.values() if event.topic == topic}
        for topic in CATALOGUE.topics
    }


@pytest.mark.parametrize("topic", sorted(CATALOGUE.topics))
def test_one_service_sends_to_a_channel_and_its_consumers_receive(topic: str) -> None:
    here = [
        (operation["tags"][0]["name"], operation["action"])
        for operation in DOCUMENT["operations"].values()
        if operation["channel"]["$ref"] == f"#/channels/{topic}"
    ]
    expected = CATALOGUE.topic(topic)
    assert [service for service, action in here if action == "send"] == [expected.publisher]
    assert {service for service, action in here if action == "receive"} == set(expected.consumers)


@pytest.mark.parametrize("topic", sorted(CATALOGUE.topics))
def test_a_channel_shows_how_the_environment_keeps_it(topic: str) -> None:
    kafka = DOCUMENT["channels"][topic]["bindings"]["kafka"]
    assert kafka["partitions"] == CATALOGUE.partitions(topic, "production")
    assert kafka["replicas"] == 3
    assert kafka["topicConfiguration"]["retention.ms"] == 2_592_000_000
    assert kafka["topicConfiguration"]["max.message.bytes"] == 1_048_588


@pytest.mark.parametrize("event_type", sorted(EVENT_TYPES))
def test_a_message_describes_headers_payload_and_key(event_type: str) -> None:
    message = DOCUMENT["components"]["messages"][event_type]
    headers = resolve(message["headers"]["$ref"])
    assert {"ce_id", "ce_source", "ce_type", "ce_specversion", "ce_time", "ce_tenantid"} == set(
        headers["required"]
    )
    assert message["bindings"]["kafka"]["key"]["type"] == "string"
    payload = resolve(message["payload"]["$ref"])
    for example in message["examples"]:
        jsonschema.validate(example["payload"], payload)
