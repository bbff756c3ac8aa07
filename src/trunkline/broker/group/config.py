"""What a coordinator grants its groups."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupConfig:
    """Limits and time-outs. Names and defaults are Kafka's unless said otherwise."""

    initial_rebalance_delay_ms: int = 50
    """How long the first join of an empty group waits for others. Kafka's 3 s suit a cluster, where the
    instances of a deployment start over seconds; on one machine they start together or one by one."""
    session_timeout_ms_min: int = 6_000
    session_timeout_ms_max: int = 1_800_000
    members_max: int = 1_000
    """Members of one group. Kafka's default is no limit; a thousand is more than one machine can run."""
    groups_max: int = 10_000
    group_bytes_max: int = 4 * 1024 * 1024
    """What all members of a group may say about themselves, and all assignments together. Kafka's bound is
    the size of a message in its offsets topic."""
    offset_metadata_bytes_max: int = 4_096
    offsets_retention_ms: int = 7 * 24 * 3600 * 1000


DEFAULT_CONFIG = GroupConfig()
