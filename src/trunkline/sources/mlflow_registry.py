"""An MLflow model registry, read as facts: its models, versions, stages, tags and aliases.

MLflow itself reads its database or asks its server, whatever version of it has written there. Extra `mlflow`.
"""

import logging
from collections.abc import Iterator, Mapping
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy import URL, create_engine, inspect, make_url
from sqlalchemy.exc import SQLAlchemyError

from trunkline.catalogue.assets import asset_urn, dataset_urn
from trunkline.catalogue.events.model import (
    ModelAliasSet,
    ModelRegistered,
    ModelStageChanged,
    ModelTagSet,
    ModelVersionCreated,
    Stage,
)
from trunkline.errors import InvalidInput, Unavailable
from trunkline.sources.bad import BadInput
from trunkline.sources.mlflow_facts import NOBODY, Fact, content_of

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion, RegisteredModel
    from mlflow.tracking import MlflowClient

PAGE: Final = 100
NAME_CHARS_MAX: Final = 256
"""As the contract's `Identifier` and `Title` have it."""
SOURCE_CHARS_MAX: Final = 2_048
DESCRIPTION_CHARS_MAX: Final = 2_000
METRICS_MAX: Final = 1_000
MEASURE_MAX: Final = 1e300
TRAINED_ON_MAX: Final = 100

EMPTY: Final = "(empty)"
"""What a tag without a value says."""

DATABASES: Final = frozenset({"sqlite", "postgresql", "mysql", "mssql"})
SERVERS: Final = ("http://", "https://")
_REGISTRY_TABLE: Final = "registered_models"

_STAGES: Final[Mapping[str, Stage]] = {
    "Staging": "staging",
    "Production": "production",
    "Archived": "archived",
}


def read_registry(uri: str) -> Iterator[Fact | BadInput]:
    """Everything that the registry says now; what no event can hold comes as `BadInput`.

    Raises `InvalidInput` for a URI that is none, or of something else than a registry, or where MLflow is not
    installed, and `Unavailable` when the registry does not answer: then nothing may be concluded from what
    was read before.
    """
    _require_registry(uri)
    try:
        from mlflow.exceptions import MlflowException
        from mlflow.tracking import MlflowClient
    except ImportError as error:
        raise InvalidInput(f"MLflow is not installed ({error}); pip install trunkline[mlflow]") from error
    # Its errors arrive as exceptions; what it logs besides would be in the user's way.
    for name in ("mlflow", "urllib3"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        yield from _facts(client)
    except (MlflowException, SQLAlchemyError) as error:
        said = str(error).partition("\n")[0]
        raise Unavailable(f"MLflow at {_shown(uri)}: {said}; nothing was imported") from error


def _require_registry(uri: str) -> None:
    """MLflow would make a new registry where there is none, or wait for a database for minutes."""
    if uri.startswith(SERVERS):
        return
    try:
        url = make_url(uri)
        name = url.get_backend_name()
    except SQLAlchemyError as error:
        raise InvalidInput(
            f"{uri!r} is no MLflow registry; use sqlite:///PATH, postgresql://…, or http://HOST:PORT"
        ) from error
    if name not in DATABASES:
        raise InvalidInput(f"MLflow keeps no registry in {name}; use {', '.join(sorted(DATABASES))} or http")
    if name == "sqlite" and not Path(str(url.database)).is_file():
        raise InvalidInput(f"{url.database}: no such file; give the path of MLflow's database")
    _require_table(url)


def _require_table(url: URL) -> None:
    try:
        engine = create_engine(url)
        try:
            there = inspect(engine).has_table(_REGISTRY_TABLE)
        finally:
            engine.dispose()
    except ImportError as error:
        raise InvalidInput(f"{_shown(str(url))}: its driver is not installed ({error})") from error
    except SQLAlchemyError as error:
        said = str(error).partition("\n")[0]
        raise Unavailable(f"{_shown(str(url))}: {said}; nothing was imported") from error
    if not there:
        raise InvalidInput(f"{_shown(str(url))}: no MLflow registry in it (no table {_REGISTRY_TABLE})")


def _shown(uri: str) -> str:
    """Without the password."""
    try:
        return make_url(uri).render_as_string(hide_password=True)
    except SQLAlchemyError:
        return uri


def _facts(client: "MlflowClient") -> Iterator[Fact | BadInput]:
    models: set[str] = set()
    for model in _paged(client.search_registered_models):
        models.add(model.name)
        yield from _checked(_of_model(model), f"model {model.name!r}", model.name)
    for version in _paged(client.search_model_versions):
        if version.name not in models:
            # Prompts are versioned in the same place; the search for models leaves them out.
            continue
        run = _run(client, version.run_id)
        shown = f"version {version.version} of model {version.name!r}"
        yield from _checked(_of_version(version, run), shown, version.name)


def _paged(search: Any) -> Iterator[Any]:
    token: str | None = None
    while True:
        page = search(max_results=PAGE, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _checked(facts: Iterator[Fact], shown: str, model: str) -> Iterator[Fact | BadInput]:
    """The facts whose names fit into an event."""
    if len(model) > NAME_CHARS_MAX:
        yield _bad(shown, f"its name is longer than {NAME_CHARS_MAX} characters")
        return
    for fact in facts:
        name = fact.key[3]
        if len(name) > NAME_CHARS_MAX:
            yield _bad(shown, f"{fact.key[0]} {name[:40]!r}… is longer than {NAME_CHARS_MAX} characters")
        else:
            yield fact


def _bad(shown: str, reason: str) -> BadInput:
    return BadInput(Path("mlflow"), None, f"{shown}: {reason}")


def _of_model(model: "RegisteredModel") -> Iterator[Fact]:
    name = model.name
    yield Fact(
        key=("model", name, 0, ""),
        event=ModelRegistered(
            model=name, actor_id=NOBODY, description=_cut(model.description, DESCRIPTION_CHARS_MAX)
        ),
        # Deleted and registered again under the same name it is another model, with another time.
        content=content_of(model.creation_timestamp, model.description),
        own_us=model.creation_timestamp * 1000,
    )
    yield from _tags(name, 0, model.tags)
    for alias, version in model.aliases.items():
        yield Fact(
            key=("alias", name, 0, alias),
            event=ModelAliasSet(model=name, alias=alias, version=int(version), actor_id=NOBODY),
            content=content_of(int(version)),
        )


def _of_version(version: "ModelVersion", run: "Run | None") -> Iterator[Fact]:
    name, number = version.name, int(version.version)
    created = ModelVersionCreated(
        model=name,
        version=number,
        actor_id=_cut(version.user_id or _user(run), NAME_CHARS_MAX) or NOBODY,
        source_uri=_cut(version.source, SOURCE_CHARS_MAX) or f"models:/{name}/{number}",
        run_id=_cut(version.run_id, NAME_CHARS_MAX),
        metrics=_metrics(run),
        trained_on=_trained_on(run),
    )
    yield Fact(
        key=("version", name, number, ""),
        event=created,
        content=content_of(version.creation_timestamp, msgspec.to_builtins(created)),
        own_us=version.creation_timestamp * 1000,
    )
    stage = _STAGES.get(version.current_stage or "")
    if stage is not None:
        yield Fact(
            key=("stage", name, number, ""),
            event=ModelStageChanged(
                model=name, version=number, previous_stage="none", stage=stage, actor_id=NOBODY
            ),
            content=content_of(stage),
            own_us=(version.last_updated_timestamp or version.creation_timestamp) * 1000,
            value=stage,
        )
    yield from _tags(name, number, version.tags)


def _tags(model: str, version: int, tags: Mapping[str, str]) -> Iterator[Fact]:
    for key, value in tags.items():
        yield Fact(
            key=("tag", model, version, key),
            event=ModelTagSet(
                model=model,
                key=key,
                value=_cut(value, NAME_CHARS_MAX) or EMPTY,
                version=version or None,
                actor_id=NOBODY,
            ),
            content=content_of(value),
        )


def _run(client: "MlflowClient", run_id: str | None) -> "Run | None":
    """The run that made a version; None for a version without one, or whose run is not there any more."""
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST, ErrorCode

    if not run_id:
        return None
    try:
        return client.get_run(run_id)
    except MlflowException as error:
        if error.error_code == ErrorCode.Name(RESOURCE_DOES_NOT_EXIST):
            return None
        raise


def _user(run: "Run | None") -> str | None:
    user = None if run is None else run.data.tags.get("mlflow.user") or run.info.user_id
    return None if user == "unknown" else user


def _metrics(run: "Run | None") -> dict[str, float]:
    """The run's last metrics, but for those that are no numbers."""
    if run is None:
        return {}
    good = {
        name: value
        for name, value in run.data.metrics.items()
        if isfinite(value) and abs(value) <= MEASURE_MAX and 0 < len(name) <= NAME_CHARS_MAX
    }
    return dict(sorted(good.items())[:METRICS_MAX])


def _trained_on(run: "Run | None") -> tuple[str, ...]:
    """The tables and datasets that the run has logged as its inputs."""
    if run is None or run.inputs is None:
        return ()
    found = (_asset(one.dataset.source) for one in run.inputs.dataset_inputs)
    return tuple(sorted({asset for asset in found if asset is not None})[:TRAINED_ON_MAX])


def _asset(source: str) -> str | None:
    """The asset that a dataset's source, a JSON object, tells of; None where it is of no place."""
    try:
        described = msgspec.json.decode(source, type=dict[str, Any])
    except (msgspec.DecodeError, msgspec.ValidationError):
        return None
    for member in ("delta_table_name", "table_name"):
        if isinstance(table := described.get(member), str) and table:
            return asset_urn(table)
    for member in ("path", "uri", "url"):
        if isinstance(place := described.get(member), str) and "://" in place:
            scheme, _, rest = place.partition("://")
            host, _, path = rest.partition("/")
            return dataset_urn(f"{scheme}://{host}", path) if path else None
    return None


def _cut(text: str | None, chars_max: int) -> str | None:
    """The text, or the beginning of one that is too long; None for none."""
    if not text:
        return None
    return text if len(text) <= chars_max else text[: chars_max - 1] + "…"
