"""The pages say what the code does: generated ones are current, links lead somewhere, examples run."""

import importlib
import re
import shlex
import signal
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer

from trunkline.catalogue.events import EVENT_TYPES
from trunkline.catalogue.load import load_catalogue
from trunkline.cli.main import COMMANDS
from trunkline.client.admin import ensure_topics
from trunkline.client.config import ConnectionOptions
from trunkline.testing.consuming import eventually
from trunkline.testing.processes import BrokerProcess

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
HOW_TO = sorted((DOCS / "how-to").glob("*.md"))
DEADLINE_S = 30

FENCE = re.compile(
    r"(?:<!-- runs: (?P<file>\S+) -->\n)?(?P<indent> *)```(?P<language>\w*)\n(?P<body>.*?)^ *```", re.S | re.M
)
LINK = re.compile(r"(?<!!)\[[^\]\n]+\]\((?!https?:|mailto:)(?P<path>[^)#\s]*)(?:#(?P<fragment>[^)\s]*))?\)")
HEADING = re.compile(r"^#+ (.+)$", re.M)
INLINE = re.compile(r"`(trunkline [^`\n]+)`")


class Block(NamedTuple):
    """A fenced block; `file` is the name it is saved under when it is one that runs."""

    page: Path
    language: str
    body: str
    file: str | None


def blocks(page: Path) -> Iterator[Block]:
    for match in FENCE.finditer(page.read_text(encoding="utf-8")):
        yield Block(page, match["language"], textwrap.dedent(match["body"]), match["file"])


def prose(page: Path) -> str:
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def name_of(value: object) -> str | None:
    return str(value.relative_to(ROOT)) if isinstance(value, Path) else None


# Reference


def test_the_generated_pages_are_current() -> None:
    done = subprocess.run(
        [sys.executable, DOCS / "generate.py", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_every_command_and_every_event_type_appears() -> None:
    commands = (DOCS / "reference" / "cli.md").read_text(encoding="utf-8")
    events = (DOCS / "reference" / "events.md").read_text(encoding="utf-8")
    assert [name for name in COMMANDS if f"\n## trunkline {name}\n" not in commands] == []
    assert [name for name in EVENT_TYPES if f"\n### {name}\n" not in events] == []


# Links


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_within_the_repository_lead_somewhere(page: Path) -> None:
    broken = []
    for link in LINK.finditer(prose(page)):
        target = (page.parent / link["path"]).resolve() if link["path"] else page
        if not target.exists() or (link["fragment"] and link["fragment"] not in anchors(target)):
            broken.append(link[0])
    assert broken == []


def anchors(page: Path) -> set[str]:
    headings = HEADING.findall(prose(page))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_index_names_every_page() -> None:
    index = (DOCS / "README.md").read_text(encoding="utf-8")
    pages = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")} - {"README.md"}
    assert sorted(page for page in pages if not page.startswith("fragments/") and page not in index) == []


@pytest.mark.parametrize("page", HOW_TO, ids=name_of)
def test_a_how_to_page_begins_with_a_link_to_the_reason(page: Path) -> None:
    title, opening = page.read_text(encoding="utf-8").split("\n\n")[:2]
    assert title.startswith("# ")
    assert LINK.search(opening)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_file_that_a_page_names_is_there(page: Path) -> None:
    sources = [path.as_posix() for folder in ("src", "tests", "docs") for path in (ROOT / folder).rglob("*")]
    named = re.findall(r"`((?:[\w.]+/)*[a-z_]+\.(?:py|yaml))`", prose(page))
    saved = {block.file for how_to in HOW_TO for block in blocks(how_to)}
    missing = [name for name in named if not any(path.endswith(f"/{name}") for path in sources)]
    assert [name for name in missing if name not in saved] == []


# Command lines


def command_lines() -> list[tuple[Path, str]]:
    """Every `trunkline …` in the pages but the generated ones: in shell blocks, transcripts and sentences."""
    found = []
    for page in PAGES:
        if page.parent.name == "reference":
            continue
        found += [(page, line) for line in INLINE.findall(prose(page))]
        for block in blocks(page):
            if block.language in {"sh", "console"}:
                body = block.body.replace("\\\n", " ")
                starts = (line.strip().removeprefix("$ ") for line in body.splitlines())
                found += [(page, line) for line in starts if line.startswith("trunkline ")]
    return found


def test_there_are_command_lines_to_check() -> None:
    assert len(command_lines()) > 50


@pytest.mark.parametrize(("page", "line"), command_lines(), ids=name_of)
def test_every_command_line_names_what_exists(page: Path, line: str) -> None:
    words = shlex.split(line.partition(" #")[0].partition(" >")[0].partition(" |")[0])[1:]
    if words == ["--help"]:
        return
    assert words[0] in COMMANDS, line
    command: Any = typer.main.get_command(
        importlib.import_module(f"trunkline.cli.{COMMANDS[words[0]][0]}").app
    )
    options = options_of(command)
    for word in words[1:]:
        if word in getattr(command, "commands", {}):
            command = command.commands[word]
            options |= options_of(command)
        elif re.fullmatch(r"--?[a-z].*", word):
            assert word.partition("=")[0] in options, f"{line}: {word}"


def options_of(command: Any) -> set[str]:
    names = {name for parameter in command.params for name in parameter.opts}
    return names | {"--help", "-h"}


# Python


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_python_in_the_pages_compiles(page: Path) -> None:
    for block in blocks(page):
        if block.language == "python":
            compile(block.body, f"{page.name}: {block.body.splitlines()[0]}", "exec")


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    """A directory with every example that a reader is told to save."""
    for page in HOW_TO:
        for block in blocks(page):
            if block.file is not None:
                (tmp_path / block.file).write_text(block.body, encoding="utf-8")
    return tmp_path


def run(examples: Path, *arguments: str) -> str:
    """What an example prints; it must succeed."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=examples,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_examples_publish_consume_and_replay(
    broker_factory: Callable[..., BrokerProcess], examples: Path
) -> None:
    # A broker of its own: the other examples' events would be counted, too.
    broker = broker_factory()
    ensure_topics(ConnectionOptions(bootstrap_servers=broker.address), load_catalogue(), "development")
    consumer = subprocess.Popen([sys.executable, "token_usage.py", broker.address], cwd=examples)
    try:
        assert run(examples, "publish.py", broker.address).startswith("Delivered(topic='ai.agent.events'")
        assert run(examples, "publish_async.py", broker.address).count("Delivered(") == 3
        assert run(examples, "publish_surely.py", broker.address) == "1000 of 1000 are in the log\n"
        eventually(lambda: usage(examples / "token-usage.db") == [("acme", 3520)])
        consumer.send_signal(signal.SIGTERM)
        assert consumer.wait(DEADLINE_S) == 0
    finally:
        consumer.kill()
        consumer.wait()
    assert run(examples, "replay_token_usage.py") == ""


def usage(path: Path) -> list[tuple[str, int]]:
    """The rows of the example's table; none before it has made it."""
    if not path.exists():
        return []
    with closing(sqlite3.connect(path)) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'usage'").fetchone():
            return []
        return connection.execute("SELECT tenant, tokens FROM usage").fetchall()


def test_the_example_of_an_outbox_publishes(broker: BrokerProcess, examples: Path) -> None:
    ensure_topics(ConnectionOptions(bootstrap_servers=broker.address), load_catalogue(), "development")
    assert run(examples, "outbox.py", broker.address) == "published\n"


def test_the_example_of_a_test_passes(examples: Path) -> None:
    assert "1 passed" in run(examples, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_token_usage.py")
