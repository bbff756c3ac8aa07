"""Lag as arithmetic."""

import pytest

from trunkline.catalogue.model import Catalogue
from trunkline.client.lag import lag_of, read_by

KEY = ("query.execution.events", 2)


@pytest.mark.parametrize(
    ("committed", "bounds", "lag", "position"),
    [
        (None, (5, 9), 4, 5),
        (7, (5, 9), 2, 7),
        (3, (5, 9), 4, 5),
        (9, (5, 9), 0, 9),
        (12, (5, 9), 0, 9),
        (0, (0, 0), 0, 0),
    ],
)
def test_lag_counts_what_is_still_there_and_not_consumed(
    committed: int | None, bounds: tuple[int, int], lag: int, position: int
) -> None:
    found = lag_of("audit-service", KEY, committed=committed, bounds=bounds)
    assert (found.lag, found.position, found.end) == (lag, position, bounds[1])


def test_a_service_reads_what_the_contract_gives_it_and_where_it_has_committed(catalogue: Catalogue) -> None:
    counts = {"ml.model.events": 2, "security.audit.events": 1, "ai.agent.events": 3}
    committed = {("somewhere.else", 4): 1}
    found = read_by(catalogue, "catalog-service", counts=counts, committed=committed)
    assert found == {("somewhere.else", 4), ("ml.model.events", 0), ("ml.model.events", 1)}
    assert read_by(catalogue, "a-stranger", counts=counts, committed=committed) == set(committed)
