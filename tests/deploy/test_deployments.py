"""Deployments: how a new version takes over, and what keeps a drain from stopping a service."""

from collections.abc import Mapping
from typing import Any

import pytest

from trunkline.catalogue.load import load_catalogue
from trunkline.deploy.deployments import deployments
from trunkline.deploy.resource import Resource
from trunkline.testing.clusters import a_cluster

CATALOGUE = load_catalogue()


def of_kind(kind: str, **changes: Any) -> dict[str, Resource]:
    made = deployments(CATALOGUE, "production", a_cluster(**changes))
    return {one.name: one for one in made if one.kind == kind}


@pytest.mark.parametrize(
    ("service", "strategy"),
    [
        ("audit-service", {"type": "Recreate"}),
        ("query-engine", {"type": "Recreate"}),
        (
            "billing-service",
            {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
        ),
        ("iam-service", {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}),
    ],
)
def test_a_new_pod_never_waits_for_what_only_the_old_one_can_give_up(
    service: str, strategy: Mapping[str, Any]
) -> None:
    assert of_kind("Deployment")[service].body["spec"]["strategy"] == strategy


def test_files_that_may_not_be_lost_are_on_a_volume_of_the_named_class() -> None:
    claims = of_kind("PersistentVolumeClaim")
    assert set(claims) == {"audit-service", "query-engine"}
    for name, claim in claims.items():
        assert claim.body["spec"]["accessModes"] == ["ReadWriteOnce"]
        assert claim.body["spec"]["storageClassName"] == "fast"
        volumes = of_kind("Deployment")[name].body["spec"]["template"]["spec"]["volumes"]
        assert {"name": "data", "persistentVolumeClaim": {"claimName": name}} in volumes


def test_selectors_find_the_pods_and_nothing_of_another_service() -> None:
    services, budgets = of_kind("Service"), of_kind("PodDisruptionBudget")
    for name, one in of_kind("Deployment").items():
        labels = one.body["spec"]["template"]["metadata"]["labels"]
        assert one.body["spec"]["selector"]["matchLabels"] == labels
        assert services[name].body["spec"]["selector"] == labels
        assert budgets[name].body["spec"]["selector"]["matchLabels"] == labels
        assert labels["app.kubernetes.io/name"] == name


def test_a_budget_lets_a_node_be_drained_also_under_a_single_pod() -> None:
    for one in of_kind("PodDisruptionBudget").values():
        assert one.body["spec"]["maxUnavailable"] == 1
        assert "minAvailable" not in one.body["spec"]


def test_no_account_has_a_token() -> None:
    for one in of_kind("ServiceAccount").values():
        assert one.body["automountServiceAccountToken"] is False
