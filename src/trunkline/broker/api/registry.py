"""Everything this broker serves. ApiVersions answers with it: a handler that is not here does not exist."""

from collections.abc import Mapping
from types import MappingProxyType, ModuleType
from typing import Final

from trunkline.broker.api import (
    api_versions,
    create_topics,
    describe_cluster,
    fetch,
    find_coordinator,
    heartbeat,
    init_producer_id,
    join_group,
    leave_group,
    list_offsets,
    metadata,
    offset_commit,
    offset_fetch,
    offset_for_leader_epoch,
    produce,
    sync_group,
)
from trunkline.broker.api.call import Handler

_MODULES: Final[tuple[ModuleType, ...]] = (
    api_versions,
    create_topics,
    describe_cluster,
    fetch,
    find_coordinator,
    heartbeat,
    init_producer_id,
    join_group,
    leave_group,
    list_offsets,
    metadata,
    offset_commit,
    offset_fetch,
    offset_for_leader_epoch,
    produce,
    sync_group,
)


def _registered() -> Mapping[int, Handler]:
    handlers: list[Handler] = [module.HANDLER for module in _MODULES]
    return MappingProxyType({handler.request.api.key: handler for handler in handlers})


HANDLERS: Final = _registered()
