"""Everything this broker serves. ApiVersions answers with it: a handler that is not here does not exist."""

from collections.abc import Mapping
from types import MappingProxyType, ModuleType
from typing import Final

from trunkline.broker.api import (
    alter_configs,
    api_versions,
    create_partitions,
    create_topics,
    delete_groups,
    delete_records,
    delete_topics,
    describe_cluster,
    describe_configs,
    describe_groups,
    describe_log_dirs,
    describe_topic_partitions,
    fetch,
    find_coordinator,
    heartbeat,
    incremental_alter_configs,
    init_producer_id,
    join_group,
    leave_group,
    list_groups,
    list_offsets,
    metadata,
    offset_commit,
    offset_delete,
    offset_fetch,
    offset_for_leader_epoch,
    produce,
    sync_group,
)
from trunkline.broker.api.call import Handler

_MODULES: Final[tuple[ModuleType, ...]] = (
    alter_configs,
    api_versions,
    create_partitions,
    create_topics,
    delete_groups,
    delete_records,
    delete_topics,
    describe_cluster,
    describe_configs,
    describe_groups,
    describe_log_dirs,
    describe_topic_partitions,
    fetch,
    find_coordinator,
    heartbeat,
    incremental_alter_configs,
    init_producer_id,
    join_group,
    leave_group,
    list_groups,
    list_offsets,
    metadata,
    offset_commit,
    offset_delete,
    offset_fetch,
    offset_for_leader_epoch,
    produce,
    sync_group,
)


def _registered() -> Mapping[int, Handler]:
    handlers: list[Handler] = [module.HANDLER for module in _MODULES]
    return MappingProxyType({handler.request.api.key: handler for handler in handlers})


HANDLERS: Final = _registered()
