"""How many pods a service may have: never more than have work, and one where files are not shared."""

from dataclasses import replace

import pytest

from trunkline.catalogue.load import load_catalogue
from trunkline.catalogue.model import Service
from trunkline.deploy.service_needs import NEEDS, RUNNABLE, Replicas, is_any_scaled, replicas, runnable
from trunkline.services import RUNNABLE as RUN_BY_THIS_VERSION
from trunkline.testing.clusters import REPORTS, a_cluster, with_reports

CATALOGUE = load_catalogue()


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        # tenant 6, query 6, ai 6
        ("billing-service", Replicas(2, 18)),
        # tenant 6, pipeline 3, quality 3, usage 3
        ("notification-service", Replicas(2, 15)),
        # ml 3, policy 3
        ("catalog-service", Replicas(2, 6)),
        ("data-quality-service", Replicas(2, 6)),
        ("governance-service", Replicas(2, 3)),
        ("config-service", Replicas(2, 3)),
        # They read without a group: nothing to share, nothing to scale by.
        ("tenant-service", Replicas(2, 2)),
        ("iam-service", Replicas(2, 2)),
        ("ml-service", Replicas(2, 2)),
        # Files of their own.
        ("audit-service", Replicas(1, 1)),
        ("query-engine", Replicas(1, 1)),
    ],
)
def test_a_group_has_at_most_a_pod_for_each_partition_that_it_shares(
    service: str, expected: Replicas
) -> None:
    assert replicas(CATALOGUE, "production", a_cluster(), service) == expected


def test_there_are_no_more_than_partitions_whatever_the_settings_say() -> None:
    cluster = a_cluster(services=replace(a_cluster().services, replicas=50))
    assert replicas(CATALOGUE, "production", cluster, "config-service") == Replicas(3, 3)


def test_needs_are_of_services_that_exist() -> None:
    assert set(NEEDS) <= set(CATALOGUE.services)
    assert set(NEEDS) <= RUNNABLE


def test_pods_are_of_what_this_version_runs() -> None:
    assert set(RUN_BY_THIS_VERSION) == RUNNABLE
    assert runnable(CATALOGUE) == tuple(CATALOGUE.services)
    assert runnable(with_reports()) == tuple(CATALOGUE.services)


def test_what_others_run_needs_no_keda() -> None:
    only_theirs = replace(with_reports(), services={REPORTS: Service(REPORTS, "Reports")})
    assert is_any_scaled(CATALOGUE, "production", a_cluster())
    assert not is_any_scaled(only_theirs, "production", a_cluster())
