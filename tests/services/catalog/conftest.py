"""A catalog on each kind of database."""

from collections.abc import Iterator

import pytest

from trunkline.testing.catalog_desk import Catalog, opened


@pytest.fixture
def catalog(store_url: str) -> Iterator[Catalog]:
    with opened(store_url) as one:
        yield one
