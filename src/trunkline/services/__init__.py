"""The platform's services, each alone in a package of its own, and which of them this version can run."""

import importlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from trunkline.errors import InvalidInput
from trunkline.services.app import Runnable

RUNNABLE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "audit-service": "trunkline.services.audit.app",
        "tenant-service": "trunkline.services.tenant.app",
        "iam-service": "trunkline.services.iam.app",
        "ai-service": "trunkline.services.ai.app",
        "governance-service": "trunkline.services.governance.app",
        "notification-service": "trunkline.services.notification.app",
        "billing-service": "trunkline.services.billing.app",
        "config-service": "trunkline.services.config.app",
        "catalog-service": "trunkline.services.catalog.app",
        "ml-service": "trunkline.services.ml.app",
        "pipeline-service": "trunkline.services.pipeline.app",
        "data-quality-service": "trunkline.services.quality.app",
        "query-engine": "trunkline.services.query.app",
    }
)
"""Service name -> the module whose `SERVICE` is its `Runnable`, imported only when the service is run."""


def runnable(name: str) -> Runnable:
    """The service of this name. Raises `InvalidInput` for one that this version cannot run."""
    module = RUNNABLE.get(name)
    if module is None:
        raise InvalidInput(
            f"{name} is in the contract, but this version cannot run it; it can run: {', '.join(RUNNABLE)}"
        )
    service = importlib.import_module(module).SERVICE
    assert isinstance(service, Runnable)
    return service
