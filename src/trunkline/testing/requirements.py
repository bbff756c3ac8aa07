"""What a test run insists on: what is missing is a skip, or a failure where the run requires it.

`TRUNKLINE_REQUIRE_KAFKA=1` makes a run fail without a real Kafka; unset, empty and `0` let it skip.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from trunkline.errors import InvalidInput

PREFIX: Final = "TRUNKLINE_REQUIRE_"
_MEANINGS: Final = {"": False, "0": False, "1": True}


class Requirement(StrEnum):
    """What can be required."""

    KAFKA = "KAFKA"
    POSTGRES = "POSTGRES"
    REDIS = "REDIS"
    SCHEMAS = "SCHEMAS"
    KUBERNETES = "KUBERNETES"
    PROMTOOL = "PROMTOOL"


def is_required(what: Requirement, environment: Mapping[str, str]) -> bool:
    """Whether a run in this environment must fail without it. Raises `InvalidInput` for neither 0 nor 1."""
    name = PREFIX + what
    value = environment.get(name, "")
    if value not in _MEANINGS:
        raise InvalidInput(f"{name} is {value!r}; set it to 1 or 0, or not at all")
    return _MEANINGS[value]
