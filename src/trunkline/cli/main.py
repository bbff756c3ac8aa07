"""The `trunkline` command: finds the subcommand, imports only that one, and turns errors into one line.

A subcommand lives in the module of its name and exports `app: typer.Typer`. Importing them all for every
call would cost more than the embedded broker's whole start, so the table below carries the one-line helps.
"""

import importlib
import inspect
import logging
import os
import sys
from typing import Annotated, Any, Final, NoReturn

import typer
import typer.core

from trunkline import __version__
from trunkline.cli._parent import stop_with_parent
from trunkline.errors import TrunklineError

RUN, WORK, QUERY, CONTRACT = "Run", "Daily work", "Query the services", "Contract and proof"
DEPLOY: Final = "Deploy"

COMMANDS: Final[dict[str, tuple[str, str, str]]] = {
    "up": ("up", RUN, "Run broker and services on this machine, data kept in a directory."),
    "demo": (
        "demo",
        RUN,
        "Feed all ten topics, then reconcile every event; exit 1 if a claim fails.",
    ),
    "broker": ("broker", RUN, "Run the embedded Kafka broker alone."),
    "service": ("service", RUN, "Run one service against any Kafka."),
    "relay": ("relay", RUN, "Publish the events of a service's transactional outbox."),
    "exporter": ("exporter", RUN, "Serve lag and cluster metrics for Prometheus."),
    "publish": ("publish", WORK, "Publish one event as one of the services."),
    "tail": ("tail", WORK, "Print the events of a topic."),
    "topics": ("topics", WORK, "Compare the contract's topics with the cluster's; create them, or grow one."),
    "tenants": ("tenants", WORK, "Show which tenant sits on which partition, and the load."),
    "lag": ("lag", WORK, "Show how far each consumer group is behind."),
    "failures": ("failures", WORK, "List, show, replay or discard failed events."),
    "replay": ("replay", WORK, "Give failed events to their service again, and to no other."),
    "import": ("import_", WORK, "Turn real logs into events."),
    "config": ("config", QUERY, "Look up the configuration, and see which instance has it."),
    "usage": ("usage", QUERY, "Show, explain, close and export what tenants use."),
    "token": ("token", QUERY, "Issue a token for the services' HTTP APIs."),
    "tenant": ("tenant", QUERY, "Sign a tenant up, suspend it, delete it; see who has erased it."),
    "iam": ("iam", QUERY, "Record logins; grant, revoke, assign; issue API keys; request erasures."),
    "agent": ("agent", QUERY, "Record runs of AI agents: tools, tokens, ends."),
    "notifications": ("notifications", QUERY, "See who was told what, and why; silence and retry."),
    "audit": ("audit", QUERY, "Search, verify, export and prove the audit ledger."),
    "query": ("query", QUERY, "Run queries through the policies; explain and look up decisions."),
    "policy": ("policy", QUERY, "Publish and explain policies; quarantine and release assets."),
    "assets": ("assets", QUERY, "Search the catalog: assets, their history, what depends on them."),
    "model": ("model", QUERY, "Register models and versions, move stages, deploy."),
    "quality": ("quality", QUERY, "Look at the quality of data: assets, anomalies, checks."),
    "pipeline": ("pipeline", QUERY, "Tell where runs of jobs are, and show them."),
    "render": ("render", DEPLOY, "Write an environment as manifests for Strimzi and Kubernetes."),
    "plan": ("plan", DEPLOY, "Name what differs from the catalogue and what mending it risks."),
    "apply": ("apply", DEPLOY, "Make a cluster as the catalogue says, as far as it is safe."),
    "doctor": ("doctor", DEPLOY, "Examine how a service stands to its cluster and its store."),
    "access": ("access", DEPLOY, "Explain who may do what on the cluster, and by which right."),
    "contract": ("contract", CONTRACT, "Export the contract, check it for incompatible changes."),
    "torture": ("torture", CONTRACT, "Hurt everything on a seeded schedule; exit 1 if a promise breaks."),
    "bench": ("bench", CONTRACT, "Measure broker and client against raw librdkafka in one run."),
}
"""Command name -> module in this package, help panel, one-line help."""

INTERRUPTED: Final = 130
"""The exit code of a command that Ctrl-C ended before it was done, as a shell has it."""


class LazyGroup(typer.core.TyperGroup):
    """Knows every subcommand's name and help; imports a subcommand when it is called."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, (_, panel, summary) in COMMANDS.items():
            self.commands[name] = typer.core.TyperCommand(name, help=summary, rich_help_panel=panel)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] in COMMANDS:
            module = importlib.import_module(f"trunkline.cli.{COMMANDS[args[0]][0]}")
            command = typer.main.get_command(module.app)
            command.name = args[0]
            _flow(command)
            self.commands[args[0]] = command
        return super().resolve_command(ctx, args)

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the signature is typer's
        return list(COMMANDS)


def flowing(text: str) -> str:
    """A help text whose paragraphs are one line each, for the terminal to wrap; indented ones stay."""
    paragraphs = inspect.cleandoc(text).split("\n\n")
    return "\n\n".join(part if part.startswith("  ") else " ".join(part.split()) for part in paragraphs)


def _flow(command: Any) -> None:
    command.help = command.help and flowing(command.help)
    for subcommand in getattr(command, "commands", {}).values():
        _flow(subcommand)


app = typer.Typer(
    cls=LazyGroup,
    add_completion=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="The event backbone of a multi-tenant data and AI platform, on Apache Kafka or on one machine.",
)


def print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"trunkline {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def run(args: list[str] | None = None) -> int:
    """Run one command line and return its exit code; see `trunkline.errors` for the codes."""
    try:
        code = typer.main.get_command(app).main(args=args, prog_name="trunkline", standalone_mode=False)
    except TrunklineError as error:
        complain(str(error))
        return error.exit_code
    except typer.TyperException as error:
        if message := error.format_message():
            complain(f"{message.rstrip('.')}; `--help` shows the usage")
        return error.exit_code
    except typer.Abort:
        code = INTERRUPTED
    except BrokenPipeError:
        # The reader went away (`trunkline tail | head`): no complaint, and nothing may be flushed any more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    if code == INTERRUPTED:
        typer.echo("interrupted", err=True)
    return code if isinstance(code, int) else 0


def complain(message: str) -> None:
    """One line for each problem; most errors have one."""
    for problem in message.splitlines():
        typer.echo(f"error: {' '.join(problem.split())}", err=True)


def main() -> NoReturn:
    # What the Kafka library logs is for the commands that keep a log, not for the user of the others.
    logging.getLogger("trunkline").addHandler(logging.NullHandler())
    stop_with_parent()
    sys.exit(run())


if __name__ == "__main__":
    main()
