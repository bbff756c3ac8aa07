"""The migrations make the tables that the code uses."""

from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from trunkline.services.config.tables import METADATA


@pytest.mark.parametrize("service", ["sqlite", "postgres"], indirect=True)
def test_the_migrated_tables_are_those_the_code_uses(service: Any) -> None:
    with service.store.read() as tx:
        differences = compare_metadata(MigrationContext.configure(tx), METADATA)
    mine = [
        difference
        for difference in differences
        if str(getattr(difference[-1], "name", difference)).startswith("config_")
    ]
    assert {getattr(one[-1], "name", one) for one in mine} <= {"config_schema_version"}
