"""The list of scopes has those that the services ask for."""

from importlib import import_module

import pytest

from trunkline.services.kit.api.scopes import OF_PLATFORM, OF_TENANTS, check_scopes


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("ai.api", "WRITE"),
        ("config.permissions", "WRITE"),
        ("governance.api", "ENFORCE"),
        ("governance.api", "WRITE"),
        ("iam.api", "ADMIN"),
        ("kit.api.tokens", "OPERATOR"),
        ("ml.api", "WRITE"),
        ("notification.api.common", "MANAGE"),
        ("pipeline.api", "WRITE"),
        ("quality.api", "WRITE"),
        ("query.api", "AUDITOR"),
    ],
)
def test_what_a_service_asks_for_can_be_issued(module: str, name: str) -> None:
    scope = getattr(import_module(f"trunkline.services.{module}"), name)
    assert scope in OF_TENANTS | OF_PLATFORM
    check_scopes([scope], tenant="system")
