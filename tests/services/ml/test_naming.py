"""Aliases and tags: set, moved, taken away, and nothing published where nothing changes."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest

from trunkline.errors import InvalidInput
from trunkline.services.ml import naming, registering, rows
from trunkline.services.ml.rules import NotRegistered
from trunkline.services.ml.work import Work

Acting = Callable[..., AbstractContextManager[Work]]


@pytest.fixture(autouse=True)
def model(acting: Acting) -> None:
    """A model with two versions."""
    with acting() as work:
        registering.register(work, "churn")
        for _ in range(2):
            registering.create_version(work, "churn", source_uri="s3://m")


def test_an_alias_moves_and_goes(acting: Acting, published: Callable[[], list[Any]]) -> None:
    with acting() as work:
        assert naming.set_alias(work, "churn", "champion", 1)
        assert naming.set_alias(work, "churn", "champion", 2)
        assert not naming.set_alias(work, "churn", "champion", 2)
        assert rows.version(work.tx, "acme", "churn", 2).aliases == ("champion",)
        naming.remove_alias(work, "churn", "champion")
        assert rows.model(work.tx, "acme", "churn").aliases == {}
    types = [row.type for row in published()[3:]]
    assert types == ["model.alias_set.v1", "model.alias_set.v1", "model.alias_removed.v1"]
    with pytest.raises(NotRegistered, match="has no alias 'champion'"), acting() as work:
        naming.remove_alias(work, "churn", "champion")


@pytest.mark.parametrize("alias", ["3", "a@b", ""])
def test_an_alias_that_could_be_something_else_is_refused(acting: Acting, alias: str) -> None:
    with pytest.raises(InvalidInput), acting() as work:
        naming.set_alias(work, "churn", alias, 1)


def test_a_tag_is_the_models_or_a_versions(acting: Acting, published: Callable[[], list[Any]]) -> None:
    with acting() as work:
        assert naming.set_tag(work, "churn", "team", "growth")
        assert naming.set_tag(work, "churn", "reviewed", "yes", version=1)
        assert not naming.set_tag(work, "churn", "reviewed", "yes", version=1)
        assert rows.model(work.tx, "acme", "churn").tags == {"team": "growth"}
        assert rows.version(work.tx, "acme", "churn", 1).tags == {"reviewed": "yes"}
        naming.remove_tag(work, "churn", "reviewed", version=1)
        assert rows.version(work.tx, "acme", "churn", 1).tags == {}
    assert [row.type for row in published()[3:]] == ["model.tag_set.v1"] * 2 + ["model.tag_removed.v1"]
    with pytest.raises(NotRegistered), acting() as work:
        naming.remove_tag(work, "churn", "team", version=2)
