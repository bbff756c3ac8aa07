"""Whether KEDA would take a manifest and understand all of it: the rules of KEDA 2.17 for what we render.

Its CRDs keep no unknown field, and its kafka scaler reads its parameters from a map of texts that no schema
covers. Sources: apis/keda/v1alpha1 of kedacore/keda, https://keda.sh/docs/2.17/scalers/apache-kafka/.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # ships no types

API_VERSION: Final = "keda.sh/v1alpha1"

_TEXT: Final = {"type": "string", "minLength": 1}
_COUNT: Final = {"type": "integer", "minimum": 0}
_BOOLEAN: Final = {"enum": ["true", "false"]}


def _closed(properties: Mapping[str, Any], *required: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(required),
        "additionalProperties": False,
    }


_KAFKA: Final = _closed(
    {
        "bootstrapServers": _TEXT,
        "consumerGroup": _TEXT,
        "topic": _TEXT,
        "lagThreshold": {"type": "string", "pattern": "^[1-9][0-9]*$"},
        "activationLagThreshold": {"type": "string", "pattern": "^[0-9]+$"},
        "offsetResetPolicy": {"enum": ["latest", "earliest"]},
        "allowIdleConsumers": _BOOLEAN,
        "scaleToZeroOnInvalidOffset": _BOOLEAN,
        "excludePersistentLag": _BOOLEAN,
        "limitToPartitionsWithLag": _BOOLEAN,
        "ensureEvenDistributionOfPartitions": _BOOLEAN,
        "version": {"type": "string", "pattern": "^[0-9]+\\.[0-9]+\\.[0-9]+$"},
        "partitionLimitation": _TEXT,
        "sasl": {"enum": ["none", "plaintext", "scram_sha256", "scram_sha512", "gssapi", "oauthbearer"]},
        "tls": {"enum": ["enable", "disable"]},
        "unsafeSsl": _BOOLEAN,
    },
    "bootstrapServers",
    "consumerGroup",
)

_SCALED_OBJECT: Final = _closed(
    {
        "scaleTargetRef": _closed(
            {"name": _TEXT, "apiVersion": _TEXT, "kind": _TEXT, "envSourceContainerName": _TEXT}, "name"
        ),
        "pollingInterval": _COUNT,
        "initialCooldownPeriod": _COUNT,
        "cooldownPeriod": _COUNT,
        "idleReplicaCount": _COUNT,
        "minReplicaCount": _COUNT,
        "maxReplicaCount": _COUNT,
        "fallback": _closed(
            {
                "failureThreshold": _COUNT,
                "replicas": _COUNT,
                "behavior": {
                    "enum": ["static", "currentReplicas", "currentReplicasIfHigher", "currentReplicasIfLower"]
                },
            },
            "failureThreshold",
            "replicas",
        ),
        "advanced": _closed(
            {
                "restoreToOriginalReplicaCount": {"type": "boolean"},
                "horizontalPodAutoscalerConfig": _closed({"name": _TEXT, "behavior": {"type": "object"}}),
            }
        ),
        "triggers": {
            "type": "array",
            "minItems": 1,
            "items": _closed(
                {
                    "type": {"const": "kafka"},
                    "name": _TEXT,
                    "metadata": _KAFKA,
                    "metricType": {"enum": ["AverageValue", "Value"]},
                    "authenticationRef": _closed(
                        {"name": _TEXT, "kind": {"enum": ["TriggerAuthentication"]}}, "name"
                    ),
                },
                "type",
                "metadata",
            ),
        },
    },
    "scaleTargetRef",
    "triggers",
)

PARAMETERS: Final = frozenset({"sasl", "username", "password", "tls", "ca", "cert", "key", "keyPassword"})
"""Of the kafka scaler, that an authentication may give."""

_PARAMETER: Final = {"enum": sorted(PARAMETERS)}

_AUTHENTICATION: Final = _closed(
    {
        "secretTargetRef": {
            "type": "array",
            "items": _closed(
                {"parameter": _PARAMETER, "name": _TEXT, "key": _TEXT}, "parameter", "name", "key"
            ),
        },
        "env": {
            "type": "array",
            "items": _closed(
                {"parameter": _PARAMETER, "name": _TEXT, "containerName": _TEXT}, "parameter", "name"
            ),
        },
    }
)

_HEAD: Final = {"apiVersion": True, "kind": True, "metadata": True}
SPECS: Final = {"ScaledObject": _SCALED_OBJECT, "TriggerAuthentication": _AUTHENTICATION}


def keda_problems(manifest: Mapping[str, Any]) -> list[str]:
    """What is wrong with a ScaledObject or a TriggerAuthentication but for its metadata, one line each."""
    kind = manifest.get("kind")
    if manifest.get("apiVersion") != API_VERSION or kind not in SPECS:
        return [f"no rules for {manifest.get('apiVersion')} {kind}"]
    whole = {**manifest, "metadata": {}}
    errors = Draft202012Validator(_closed({**_HEAD, "spec": SPECS[kind]}, "spec")).iter_errors(whole)
    if found := sorted(f"{error.json_path}: {error.message}" for error in errors):
        return found
    return list((_scaled_object if kind == "ScaledObject" else _authentication)(manifest["spec"]))


def _scaled_object(spec: Mapping[str, Any]) -> Iterator[str]:
    """What KEDA's webhook and its scaler refuse beyond types."""
    least, most = spec.get("minReplicaCount", 0), spec.get("maxReplicaCount", 100)
    if least > most:
        yield f"minReplicaCount {least} is above maxReplicaCount {most}"
    if spec.get("idleReplicaCount", -1) >= max(least, 1):
        yield "idleReplicaCount must be below minReplicaCount"
    for trigger in spec["triggers"]:
        parameters = trigger["metadata"]
        if parameters.get("limitToPartitionsWithLag") == "true" and "topic" not in parameters:
            yield "limitToPartitionsWithLag needs a topic"
        if parameters.get("allowIdleConsumers") == parameters.get("limitToPartitionsWithLag") == "true":
            yield "allowIdleConsumers and limitToPartitionsWithLag exclude each other"


def _authentication(spec: Mapping[str, Any]) -> Iterator[str]:
    """What the kafka scaler refuses in what an authentication gives it."""
    given = [one["parameter"] for one in (*spec.get("secretTargetRef", ()), *spec.get("env", ()))]
    for parameter in sorted(set(given)):
        if given.count(parameter) > 1:
            yield f"{parameter} is given twice"
    for one, other in (("cert", "key"), ("username", "password")):
        if (one in given) is not (other in given):
            yield f"{one} and {other} go together"
