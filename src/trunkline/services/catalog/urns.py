"""The names of what the catalog keeps. Tables are named as `catalogue.assets` has it.

| asset | urn |
|---|---|
| a model | `urn:model:churn` |
| a version of it | `urn:model_version:churn/3` |
| a table, a column | `urn:table:sales.orders`, `urn:column:sales.orders.c_phone` |
| a policy | `urn:policy:p-salary` |
| the policies that decide | `urn:policy_bundle:active` |
"""

from typing import Final

from trunkline.catalogue.assets import TABLE, asset_urn

MODEL: Final = "urn:model:"
MODEL_VERSION: Final = "urn:model_version:"
COLUMN: Final = "urn:column:"
POLICY: Final = "urn:policy:"
BUNDLE: Final = "urn:policy_bundle:active"

KINDS: Final = ("table", "column", "model", "model_version", "policy")
"""What the catalog speaks of itself; events may name assets of other kinds."""

UNKNOWN_KIND: Final = "asset"


def model_urn(model: str) -> str:
    """The URN of a model. A name may contain anything, so nothing is to be cut out of it."""
    return f"{MODEL}{model}"


def version_urn(model: str, version: int) -> str:
    """The URN of one version of a model."""
    return f"{MODEL_VERSION}{model}/{version}"


def model_and_version(urn: str) -> tuple[str, int]:
    """What `version_urn` was made of."""
    model, _, version = urn.removeprefix(MODEL_VERSION).rpartition("/")
    return model, int(version)


def policy_urn(policy_id: str) -> str:
    """The URN of a policy, all versions of it."""
    return f"{POLICY}{policy_id}"


def normal(name: str) -> str:
    """The one URN of an asset that an event or a user names, in whichever of its spellings."""
    if not name.startswith(COLUMN):
        return asset_urn(name)
    table, _, column = name.removeprefix(COLUMN).rpartition(".")
    return f"{COLUMN}{asset_urn(TABLE + table).removeprefix(TABLE)}.{column.lower()}"


def table_of_column(urn: str) -> str:
    """The table that a column, by its normal URN, belongs to."""
    return TABLE + urn.removeprefix(COLUMN).rpartition(".")[0]


def kind_of(urn: str) -> str:
    """`table` of `urn:table:sales.orders`."""
    parts = urn.split(":", 2)
    return parts[1] if len(parts) == 3 and parts[1] else UNKNOWN_KIND


def name_of(urn: str) -> str:
    """The asset's name for people: its URN without what only says of which kind it is."""
    return urn.split(":", 2)[-1]


def why_no_asset(urn: str) -> str | None:
    """Why no asset can have this URN; None if one can."""
    if any(char.isspace() for char in urn):
        return f"{urn!r} names no asset: it contains spaces"
    if urn.startswith("urn:") and len(urn.split(":", 2)) < 3:
        return f"{urn!r} names no asset: use urn:KIND:NAME"
    if urn.startswith(TABLE) and (urn.endswith(".") or urn.startswith(TABLE + ".")):
        return f"{urn!r} names no asset: a part of its name is empty"
    return None
