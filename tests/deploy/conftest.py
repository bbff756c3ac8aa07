"""Fixtures of the manifests' tests: the schemas that judge them lie beside the checkout, not in it."""

import os
from pathlib import Path

import pytest

from trunkline.testing.promtool import PromtoolMissing, find_promtool
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


@pytest.fixture(scope="session")
def promtool() -> Path:
    """Prometheus's own tool. Skips where it is not installed, unless the run requires it."""
    try:
        return find_promtool()
    except PromtoolMissing as missing:
        if is_required(Requirement.PROMTOOL, os.environ):
            raise
        pytest.skip(str(missing))
