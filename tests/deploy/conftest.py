"""Fixtures of the manifests' tests: the schemas that judge them lie beside the checkout, not in it."""

import os
from pathlib import Path

import pytest

from trunkline.testing.requirements import Requirement, is_required

SCHEMAS = Path(__file__).parents[3] / "shared" / "schemas"


@pytest.fixture(scope="session")
def schemas() -> Path:
    """The directory of CRDs. Skips where it is absent, unless the run requires it."""
    if SCHEMAS.is_dir():
        return SCHEMAS
    missing = f"no CRDs to judge manifests by: {SCHEMAS} is not there"
    if is_required(Requirement.SCHEMAS, os.environ):
        pytest.fail(missing)
    pytest.skip(missing)
