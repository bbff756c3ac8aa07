import importlib
import subprocess
import sys

import pytest

from trunkline.cli.main import COMMANDS, flowing, run


def test_every_command_has_a_help_with_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    for command in COMMANDS:
        assert run([command, "--help"]) == 0, command
        shown = capsys.readouterr().out
        assert f"trunkline {command}" in shown or "Commands" in shown, command


def test_the_overview_names_every_command_without_importing_any(capsys: pytest.CaptureFixture[str]) -> None:
    script = (
        "import sys; from trunkline.cli.main import run; run(['--help']);"
        "sys.exit(bool({'confluent_kafka', 'sqlalchemy', 'asyncio', 'duckdb'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(command in done.stdout for command in COMMANDS)


@pytest.mark.parametrize("module", sorted({module for module, _, _ in COMMANDS.values()}))
def test_every_command_module_exports_an_app(module: str) -> None:
    assert importlib.import_module(f"trunkline.cli.{module}").app is not None


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["bogus"], "No such command 'bogus'"),
        (["lag", "--bogus"], "--bogus"),
        (["demo", "--seconds", "soon"], "'--seconds'"),
        (["up", "--port", "70000"], "65535"),
        (["topics", "--catalogue", "/nowhere.yaml"], "/nowhere.yaml"),
        (["service", "billing-servce"], "billing-service"),
    ],
)
def test_a_users_mistake_is_one_line_and_exit_code_2(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("error: ")
    assert complaint in shown.err
    assert len(shown.err.strip().splitlines()) == 1


def test_an_unreachable_cluster_is_one_line_and_exit_code_4(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["topics", "--bootstrap-servers", "127.0.0.1:1"]) == 4
    shown = capsys.readouterr().err
    assert "127.0.0.1:1" in shown
    assert "--bootstrap-servers" in shown


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("trunkline ")


def test_a_service_outside_of_the_product_is_told_how_to_replay(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["failures", "replay", "--all", "--service", "token-usage"]) == 2
    assert "trunkline.client.replay" in capsys.readouterr().err


def test_a_help_text_is_wrapped_by_the_terminal_and_an_example_by_nobody() -> None:
    text = """What it does.

    A sentence that the source wraps
    where its lines end.

      trunkline one
      trunkline two
    """
    assert flowing(text) == (
        "What it does.\n\nA sentence that the source wraps where its lines end.\n\n"
        "  trunkline one\n  trunkline two"
    )
