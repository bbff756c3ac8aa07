"""One look at the topics, without an instance: for the command line and for checks."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from trunkline.catalogue.events.config import TOPIC
from trunkline.catalogue.internal import BROADCAST_POSITIONS
from trunkline.client.admin import check_reachable
from trunkline.client.broadcast.acknowledgement import decode_acknowledgement
from trunkline.client.broadcast.overview import InstanceView, overview
from trunkline.client.broadcast.replica import applied
from trunkline.client.broadcast.state import State
from trunkline.client.broadcast.watch import sight
from trunkline.client.config import ConnectionOptions, admin_config
from trunkline.client.errors import TopicMissing
from trunkline.client.kafka import Admin
from trunkline.client.reader import TopicReader

ACKNOWLEDGEMENTS_MAX: Final = 20_000
"""The newest; a quarter of an hour of a hundred instances."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeState:
    """Everything in the config topic up to `positions`, and how many of its records could not be applied."""

    state: State
    positions: dict[int, int]
    rejected: int


def read_state(connection: ConnectionOptions) -> WholeState:
    """What an instance that started now would know.

    Raises `TopicMissing` where there is no config topic, and `ClusterUnavailable`.
    """
    state, rejected = State(), 0
    with TopicReader(connection, TOPIC) as reader:
        for record in reader.existing():
            rejected += applied(state, record) is not None
        positions = {number: high for number, (_, high) in reader.bounds.items()}
    return WholeState(state=state, positions=positions, rejected=rejected)


def read_overview(connection: ConnectionOptions, *, now: datetime) -> list[InstanceView]:
    """Every instance and how it stands. Raises as `read_state` does."""
    check_reachable(connection)
    with TopicReader(connection, BROADCAST_POSITIONS.name) as reader:
        records = reader.existing(last=ACKNOWLEDGEMENTS_MAX)
        said = [one for record in records if (one := decode_acknowledgement(record)) is not None]
    found = sight(Admin(admin_config(connection)), TOPIC, at=0.0)
    if found is None:
        raise TopicMissing(f"the cluster has no topic {TOPIC}; create it with `trunkline topics`")
    return overview(said, topic_id=found.topic_id, bounds=found.bounds, now=now)
