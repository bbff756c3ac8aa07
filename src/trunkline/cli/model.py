"""`trunkline model`: the registry of models, on the ML service's store."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from trunkline.cli import _common
from trunkline.cli._common import AsJson, DataDir
from trunkline.errors import InvalidInput

if TYPE_CHECKING:
    from trunkline.services.ml.views import Version
    from trunkline.services.ml.work import Work

SERVICE: Final = "ml-service"

Tenant = Annotated[str, typer.Option("--tenant", help="Whose model.")]
Actor = Annotated[str, typer.Option("--actor", help="Who does it.")]
Model = Annotated[str, typer.Argument(help="The model's name.")]
Number = Annotated[int, typer.Argument(metavar="VERSION", help="The version's number.")]
Key = Annotated[
    str | None, typer.Option("--key", help="Idempotency key: with the same key the same call has one effect.")
]
Remove = Annotated[bool, typer.Option("--remove", help="Take it away.")]
StoreUrl = Annotated[
    str | None, typer.Option("--store", metavar="URL", help="The ML service's database, if not in DIR.")
]

HELP: Final = """Register models and bring their versions to their users.

What these commands change is published when the ML service runs.

[bold]Example[/bold]

  trunkline model register churn --tenant acme --actor ana

  trunkline model version churn --source s3://models/churn/1 --tenant acme --actor ana

  trunkline model alias churn champion 1 --tenant acme --actor ana
"""
REGISTER_HELP: Final = """Give a model its name.

[bold]Example[/bold]

  trunkline model register churn --owner ana --tenant acme --actor ana
"""
VERSION_HELP: Final = """Give a model its next version.

[bold]Example[/bold]

  trunkline model version churn --source s3://models/churn/3 --metric auc=0.91 --tenant acme --actor ana
"""
ALIAS_HELP: Final = """Point an alias to a version, or take it away.

[bold]Example[/bold]

  trunkline model alias churn champion 3 --tenant acme --actor ana
"""
TAG_HELP: Final = """Tag a model, or with --version one version of it, or take a tag away.

[bold]Example[/bold]

  trunkline model tag churn reviewed yes --version 3 --tenant acme --actor ana
"""
STAGE_HELP: Final = """Move a version to another stage: development, staging, production, archived.

Production needs a second person, who says `trunkline model approve`.

[bold]Example[/bold]

  trunkline model stage churn 3 staging --tenant acme --actor ana
"""
APPROVE_HELP: Final = """Approve the stage that somebody else has asked for.

[bold]Example[/bold]

  trunkline model approve churn 3 --tenant acme --actor ben
"""
DEPLOY_HELP: Final = """Let a version answer at an endpoint.

[bold]Example[/bold]

  trunkline model deploy churn 3 churn-eu --replicas 2 --tenant acme --actor ana
"""
UNDEPLOY_HELP: Final = """Let a version answer at an endpoint no longer.

[bold]Example[/bold]

  trunkline model undeploy churn 2 churn-eu --tenant acme --actor ana
"""
DRIFT_HELP: Final = """Say that a deployed version sees something else than what it learned from.

[bold]Example[/bold]

  trunkline model drift churn 3 --metric psi --value 0.31 --threshold 0.2 --tenant acme --actor monitor
"""
DELETE_HELP: Final = """Delete a version, or without one a model that has none any more.

[bold]Example[/bold]

  trunkline model delete churn 1 --reason "trained on the wrong table" --tenant acme --actor ana
"""
SHOW_HELP: Final = """Show a model and its versions, or all models of a tenant.

[bold]Example[/bold]

  trunkline model show churn --tenant acme --json
"""

app = _common.new_app(HELP, no_args_is_help=True)


@app.command(help=REGISTER_HELP)
def register(
    model: Model,
    *,
    tenant: Tenant,
    actor: Actor,
    description: Annotated[str | None, typer.Option(help="What it is for.")] = None,
    owner: Annotated[str | None, typer.Option(help="Who answers for it.")] = None,
    key: Key = None,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.services.ml import registering

    with _changing(data_dir, store, tenant, actor, create=True) as work:
        made = registering.register(work, model, description=description, owner=owner, key=key)
    _say(made, f"registered {model}", as_json=as_json)


@app.command(help=VERSION_HELP)
def version(
    model: Model,
    *,
    source: Annotated[str, typer.Option(metavar="URI", help="Where its files are.")],
    tenant: Tenant,
    actor: Actor,
    run: Annotated[str | None, typer.Option(metavar="ID", help="The run that made it.")] = None,
    metric: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="How good it is; repeatable.")
    ] = None,
    trained_on: Annotated[
        list[str] | None, typer.Option(metavar="TABLE", help="What it learned from; repeatable.")
    ] = None,
    key: Key = None,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.services.ml import registering

    with _changing(data_dir, store, tenant, actor) as work:
        made = registering.create_version(
            work,
            model,
            source_uri=source,
            run_id=run,
            metrics=_metrics(metric or []),
            trained_on=trained_on or [],
            key=key,
        )
    _say(made, f"{model} {made.version}", as_json=as_json)


@app.command(help=ALIAS_HELP)
def alias(
    model: Model,
    name: Annotated[str, typer.Argument(metavar="ALIAS", help="Such as champion.")],
    number: Annotated[int | None, typer.Argument(metavar="[VERSION]", help="Where it points.")] = None,
    *,
    tenant: Tenant,
    actor: Actor,
    remove: Remove = False,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.services.ml import naming, rows

    if (number is None) != remove:
        raise InvalidInput("give either the version that the alias points to or --remove")
    with _changing(data_dir, store, tenant, actor) as work:
        if number is None:
            naming.remove_alias(work, model, name)
        else:
            naming.set_alias(work, model, name, number)
        found = rows.model(work.tx, tenant, model)
    said = f"{model}@{name} is gone" if number is None else f"{model}@{name} is {model} {number}"
    _say(found, said, as_json=as_json)


@app.command(help=TAG_HELP)
def tag(
    model: Model,
    name: Annotated[str, typer.Argument(metavar="TAG", help="The tag's name.")],
    value: Annotated[str | None, typer.Argument(help="What it says.")] = None,
    *,
    tenant: Tenant,
    actor: Actor,
    number: Annotated[int | None, typer.Option("--version", help="Of this version only.")] = None,
    remove: Remove = False,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.services.ml import naming, rows

    if (value is None) != remove:
        raise InvalidInput("give either what the tag says or --remove")
    with _changing(data_dir, store, tenant, actor) as work:
        if value is None:
            naming.remove_tag(work, model, name, version=number)
        else:
            naming.set_tag(work, model, name, value, version=number)
        found: Any = (
            rows.model(work.tx, tenant, model)
            if number is None
            else rows.version(work.tx, tenant, model, number)
        )
    _say(found, f"{name} is gone" if value is None else f"{name}: {value}", as_json=as_json)


@app.command(help=STAGE_HELP)
def stage(
    model: Model,
    number: Number,
    to: Annotated[str, typer.Argument(metavar="STAGE", help="Where it goes.")],
    *,
    tenant: Tenant,
    actor: Actor,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.services.ml import serving
    from trunkline.services.ml.rules import require_stage

    with _changing(data_dir, store, tenant, actor) as work:
        found = serving.change_stage(work, model, number, require_stage(to))
    _say(found, _stage_line(found), as_json=as_json)


@app.command(help=APPROVE_HELP)
def approve(
    model: Model,
    number: Number,
    *,
    tenant: Tenant,
    actor: Actor,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.services.ml import serving

    with _changing(data_dir, store, tenant, actor) as work:
        found = serving.approve_stage(work, model, number)
    _say(found, _stage_line(found), as_json=as_json)


@app.command(help=DEPLOY_HELP)
def deploy(
    model: Model,
    number: Number,
    endpoint: Annotated[str, typer.Argument(help="Where it answers.")],
    *,
    tenant: Tenant,
    actor: Actor,
    replicas: Annotated[int, typer.Option(help="With so many replicas.")] = 1,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.services.ml import rows, serving

    with _changing(data_dir, store, tenant, actor) as work:
        serving.deploy(work, model, number, endpoint=endpoint, replicas=replicas)
        found = rows.version(work.tx, tenant, model, number)
    _say(found, f"{model} {number} answers at {endpoint}", as_json=as_json)


@app.command(help=UNDEPLOY_HELP)
def undeploy(
    model: Model,
    number: Number,
    endpoint: Annotated[str, typer.Argument(help="Where it answered.")],
    *,
    tenant: Tenant,
    actor: Actor,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.services.ml import rows, serving

    with _changing(data_dir, store, tenant, actor) as work:
        serving.undeploy(work, model, number, endpoint=endpoint)
        found = rows.version(work.tx, tenant, model, number)
    _say(found, f"{model} {number} no longer answers at {endpoint}", as_json=as_json)


@app.command(help=DRIFT_HELP)
def drift(
    model: Model,
    number: Number,
    *,
    metric: Annotated[str, typer.Option(help="What was measured.")],
    value: Annotated[float, typer.Option(help="What it came to.")],
    threshold: Annotated[float, typer.Option(help="What would still have been usual.")],
    tenant: Tenant,
    actor: Actor,
    feature: Annotated[str | None, typer.Option(help="Of which feature.")] = None,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.services.ml import rows, serving

    with _changing(data_dir, store, tenant, actor) as work:
        serving.report_drift(
            work, model, number, metric=metric, value=value, threshold=threshold, feature=feature
        )
        found = rows.version(work.tx, tenant, model, number)
    _say(found, f"{model} {number} drifts: {metric} is {value:g}", as_json=as_json)


@app.command(help=DELETE_HELP)
def delete(
    model: Model,
    number: Annotated[int | None, typer.Argument(metavar="[VERSION]", help="Which version.")] = None,
    *,
    tenant: Tenant,
    actor: Actor,
    reason: Annotated[str | None, typer.Option(help="Why.")] = None,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.services.ml import registering

    with _changing(data_dir, store, tenant, actor) as work:
        if number is None:
            registering.delete_model(work, model, reason=reason)
        else:
            registering.delete_version(work, model, number, reason=reason)
    shown = model if number is None else f"{model} {number}"
    _say({"model": model, "version": number, "deleted": True}, f"{shown} is deleted", as_json=as_json)


@app.command(help=SHOW_HELP)
def show(
    model: Annotated[str | None, typer.Argument(help="One model; all of them unless given.")] = None,
    *,
    tenant: Tenant,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="Lines.")] = 100,
    after: Annotated[str | None, typer.Option(metavar="CURSOR", help="Go on after the page before.")] = None,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.cli._offline import offline
    from trunkline.services.ml import rows

    with offline(SERVICE, data_dir=data_dir, store=store) as context, context.store.read() as tx:
        if model is None:
            listed = rows.models(tx, tenant, limit=limit, after=after)
            lines = [
                "\t".join((one.model, str(one.last_version), _pairs(one.aliases), one.owner_id or ""))
                for one in listed.items
            ]
            shown: Any = listed
            following = listed.next
        else:
            head = rows.model(tx, tenant, model)
            versions = rows.versions(tx, tenant, model, limit=limit, after=after)
            lines = [_version_line(one) for one in versions.items]
            shown = {"model": head, "versions": versions.items, "next": versions.next}
            following = versions.next
    if as_json:
        _common.print_json(shown)
        return
    for line in lines:
        typer.echo(line)
    if not lines:
        _common.note("nothing found")
    if following is not None:
        _common.note(f"more: --after {following}")


@contextmanager
def _changing(
    data_dir: Path, store: str | None, tenant: str, actor: str, *, create: bool = False
) -> "Iterator[Work]":
    from trunkline.catalogue.names import TENANT_PATTERN
    from trunkline.cli._offline import offline
    from trunkline.services.ml.work import changing

    if not TENANT_PATTERN.fullmatch(tenant):
        raise InvalidInput(f"--tenant {tenant!r}: use up to 64 letters, digits, '.', '_' or '-'")
    with (
        offline(SERVICE, data_dir=data_dir, store=store, create=create) as context,
        changing(context, tenant, actor=actor) as work,
    ):
        yield work


def _say(shown: object, line: str, *, as_json: bool) -> None:
    if as_json:
        _common.print_json(shown)
    else:
        typer.echo(line)


def _metrics(given: list[str]) -> dict[str, float]:
    metrics: dict[str, float] = {}
    for text in given:
        name, _, value = text.rpartition("=")
        try:
            metrics[name] = float(value)
        except ValueError as error:
            raise InvalidInput(f"--metric {text!r}: write NAME=VALUE, such as auc=0.91") from error
        if not name:
            raise InvalidInput(f"--metric {text!r}: write NAME=VALUE, such as auc=0.91")
    return metrics


def _stage_line(version: "Version") -> str:
    name = f"{version.model} {version.version}"
    if version.wanted is None:
        return f"{name} is in {version.stage}"
    return f"{name} is in {version.stage}; {version.wanted.stage} waits for approval by somebody else"


def _version_line(version: "Version") -> str:
    return "\t".join(
        (
            f"{version.model} {version.version}",
            version.stage,
            ", ".join(version.aliases),
            _pairs(version.endpoints),
            version.source_uri,
        )
    )


def _pairs(members: Mapping[str, object]) -> str:
    return ", ".join(f"{name}={value}" for name, value in members.items())
