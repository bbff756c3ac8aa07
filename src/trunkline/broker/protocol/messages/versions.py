"""ApiVersions (18): how a client learns what it may send. Features (KIP-584) travel as tagged fields."""

from trunkline.broker.protocol.notation import Message, Struct, array, boolean, int16, int32, int64, string


class ApiVersionsRequest(Message, key=18, versions="0-4", flexible="3+"):
    client_software_name: str = string(versions="3+", default="")
    client_software_version: str = string(versions="3+", default="")


class ApiVersion(Struct):
    api_key: int = int16()
    min_version: int = int16()
    max_version: int = int16()


class SupportedFeatureKey(Struct):
    name: str = string()
    min_version: int = int16()
    max_version: int = int16()


class FinalizedFeatureKey(Struct):
    name: str = string()
    max_version_level: int = int16()
    min_version_level: int = int16()


class ApiVersionsResponse(Message, key=18, versions="0-4", flexible="3+"):
    error_code: int = int16()
    api_keys: list[ApiVersion] = array(ApiVersion)
    throttle_time_ms: int = int32(versions="1+", default=0)
    supported_features: list[SupportedFeatureKey] = array(
        SupportedFeatureKey, versions="3+", tagged=0, default_factory=list
    )
    finalized_features_epoch: int = int64(versions="3+", tagged=1, default=-1)
    finalized_features: list[FinalizedFeatureKey] = array(
        FinalizedFeatureKey, versions="3+", tagged=2, default_factory=list
    )
    zk_migration_ready: bool = boolean(versions="3+", tagged=3, default=False)
