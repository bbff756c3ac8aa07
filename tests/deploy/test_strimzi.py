"""What all of Strimzi's resources have in common."""

from dataclasses import replace

import pytest

from trunkline.catalogue.load import load_catalogue
from trunkline.deploy.strimzi import is_disposable


@pytest.mark.parametrize(
    ("brokers", "replication_factor", "expected"), [(1, 1, True), (3, 1, False), (3, 3, False)]
)
def test_only_one_broker_with_the_only_copy_may_go_with_its_data(
    brokers: int, replication_factor: int, expected: bool
) -> None:
    """Several brokers without replication may well be somebody's data."""
    environment = replace(
        load_catalogue().environment("development"), brokers=brokers, replication_factor=replication_factor
    )
    assert is_disposable(environment) is expected
