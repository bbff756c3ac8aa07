"""Closing a topic on the brokers, and opening it again."""

from enum import StrEnum
from typing import Final

from trunkline.client.kafka import Admin

SETTING: Final = "max.message.bytes"


class Fence(StrEnum):
    """Sizes that no record batch has: 61 bytes is the least."""

    CLOSED = "0"
    CLOSED_WITH_NEW_PARTITIONS = "1"
    """Set after partitions were added. Who knows this value knows of the partitions, too."""


def closes(setting: str | None) -> bool:
    """Whether a topic with this setting is closed."""
    return setting in frozenset[str](Fence)


def keep_closed(admin: Admin, topic: str, fence: Fence) -> bool:
    """Close a topic unless it is closed; True if every broker knew so already.

    To be called again until it is True, and then as long as the topic is to stay closed: False then means
    that somebody else has opened it. A broker that is down does not count: it takes no appends, and learns
    everything before it does.
    """
    if all(admin.topic_config_at(broker, topic)[SETTING] == fence for broker in admin.cluster().brokers):
        return True
    admin.configure(topic, {SETTING: fence.value})
    return False


def reopen(admin: Admin, topic: str, setting: str | None) -> None:
    """Give a topic back its own `max.message.bytes`, or its brokers' if it had none."""
    admin.configure(topic, {SETTING: setting})


def is_open(admin: Admin, topic: str) -> bool:
    """Whether every broker knows that a topic is open."""
    brokers = admin.cluster().brokers
    return not any(closes(admin.topic_config_at(broker, topic)[SETTING]) for broker in brokers)
