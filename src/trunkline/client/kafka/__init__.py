"""The only package that knows `confluent_kafka`: narrow adapters with our own types and our own errors.

`producer`, `consumer` and `admin` are the three clients. `errors` says what the library's errors mean,
`records` turns its records and partitions into ours. What the library does that one would not expect, and
what follows from it, is said where it is dealt with.
"""

from trunkline.client.kafka.admin import Admin, ClusterState, Replicas, TopicState
from trunkline.client.kafka.consumer import Consumer, Fetching, GroupStanding, Rebalance
from trunkline.client.kafka.producer import TOO_LARGE, Producer, Report, Sendable
from trunkline.client.kafka.records import UNREADABLE_HEADERS, Partition, partition_of

__all__ = [
    "TOO_LARGE",
    "UNREADABLE_HEADERS",
    "Admin",
    "ClusterState",
    "Consumer",
    "Fetching",
    "GroupStanding",
    "Partition",
    "Producer",
    "Rebalance",
    "Replicas",
    "Report",
    "Sendable",
    "TopicState",
    "partition_of",
]
