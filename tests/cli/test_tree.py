"""A directory of rendered files: what is there is whole, and nothing of anybody else's is touched."""

import os
import signal
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest

from trunkline.cli import _tree
from trunkline.cli._tree import MARKER, STAGING, Difference
from trunkline.errors import InvalidInput, Unavailable

TREE: Mapping[str, str] = {"base/kafka.yaml": "kafka\n", "overlays/dev/README.md": "é\n"}


def contents(directory: Path) -> dict[str, str]:
    return {
        str(path.relative_to(directory)): path.read_text(encoding="utf-8")
        for path in directory.rglob("*")
        if path.is_file() and path.name != MARKER
    }


def test_what_was_written_is_there_and_does_not_differ(tmp_path: Path) -> None:
    directory = tmp_path / "a" / "deploy"
    changed = _tree.write(directory, TREE, environments=["dev"])
    assert changed == [Difference(path, "missing") for path in TREE]
    assert contents(directory) == TREE
    assert _tree.differences(directory, TREE) == []
    assert _tree.environments_of(directory) == ["dev"]
    assert not (directory / STAGING).exists()


def test_what_is_rendered_no_longer_goes_with_the_directory_that_it_leaves_empty(tmp_path: Path) -> None:
    _tree.write(tmp_path, TREE, environments=["dev"])
    less = {"base/kafka.yaml": "other\n"}
    expected = [
        Difference("base/kafka.yaml", "different"),
        Difference("overlays/dev/README.md", "no longer rendered"),
    ]
    assert _tree.differences(tmp_path, less) == expected
    assert _tree.write(tmp_path, less, environments=["dev"]) == expected
    assert contents(tmp_path) == less
    assert not (tmp_path / "overlays").exists()


def test_files_of_others_stay_also_beside_what_goes(tmp_path: Path) -> None:
    _tree.write(tmp_path, TREE, environments=["dev"])
    (tmp_path / "overlays/dev/mine.yaml").write_text("mine\n")
    _tree.write(tmp_path, {"base/kafka.yaml": "kafka\n"}, environments=["dev"])
    assert contents(tmp_path) == {"base/kafka.yaml": "kafka\n", "overlays/dev/mine.yaml": "mine\n"}


def test_files_that_did_not_change_are_not_touched(tmp_path: Path) -> None:
    _tree.write(tmp_path, TREE, environments=["dev"])
    before = (tmp_path / "base/kafka.yaml").stat()
    assert _tree.write(tmp_path, TREE, environments=["dev"]) == []
    assert (tmp_path / "base/kafka.yaml").stat().st_ino == before.st_ino


def test_a_directory_of_somebody_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work\n")
    with pytest.raises(InvalidInput, match="did not write; give an empty or a new one"):
        _tree.write(tmp_path, TREE, environments=["dev"])
    assert contents(tmp_path) == {"thesis.txt": "years of work\n"}


def test_a_file_of_somebody_else_where_a_new_one_belongs_is_refused(tmp_path: Path) -> None:
    _tree.write(tmp_path, {"base/kafka.yaml": "kafka\n"}, environments=["dev"])
    (tmp_path / "base/users.yaml").write_text("mine\n")
    with pytest.raises(InvalidInput, match=r"users\.yaml is there and was not rendered"):
        _tree.write(tmp_path, {**TREE, "base/users.yaml": "ours\n"}, environments=["dev"])
    assert contents(tmp_path) == {"base/kafka.yaml": "kafka\n", "base/users.yaml": "mine\n"}


@pytest.mark.parametrize(
    ("marker", "why"),
    [
        ("{", "is damaged"),
        ('{"environments": [], "files": ["../../etc/passwd"]}', "outside of the directory"),
        ('{"environments": [], "files": ["/etc/passwd"]}', "outside of the directory"),
    ],
)
def test_a_marker_that_cannot_be_trusted_is_refused(tmp_path: Path, marker: str, why: str) -> None:
    (tmp_path / MARKER).write_text(marker)
    with pytest.raises(InvalidInput, match=why):
        _tree.write(tmp_path, TREE, environments=["dev"])


def test_a_file_instead_of_a_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "deploy").write_text("")
    with pytest.raises(InvalidInput, match="give a directory"):
        _tree.write(tmp_path / "deploy", TREE, environments=["dev"])


def test_a_failure_before_the_last_file_is_complete_leaves_the_old_tree(tmp_path: Path) -> None:
    _tree.write(tmp_path, TREE, environments=["dev"])
    impossible = {"base/kafka.yaml": "new\n", "overlays/dev/" + "x" * 300: "too long a name\n"}
    with pytest.raises(Unavailable, match="File name too long"):
        _tree.write(tmp_path, impossible, environments=["dev"])
    assert contents(tmp_path) == TREE
    assert _tree.differences(tmp_path, TREE) == []


def test_what_an_interrupt_has_left_behind_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / STAGING / "base").mkdir(parents=True)
    (tmp_path / STAGING / "base/kafka.yaml").write_text("half")
    _tree.write(tmp_path, TREE, environments=["dev"])
    assert contents(tmp_path) == TREE


def test_an_interrupt_during_the_replacing_comes_behind_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replacing = _tree._replace
    another = threading.Event()
    thread = threading.Thread(target=another.wait)  # The system may give it the signal.
    thread.start()

    def interrupted(directory: Path, staging: Path, paths: list[str]) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        replacing(directory, staging, paths)

    monkeypatch.setattr(_tree, "_replace", interrupted)
    try:
        with pytest.raises(KeyboardInterrupt):
            _tree.write(tmp_path, TREE, environments=["dev"])
    finally:
        another.set()
        thread.join()
    assert contents(tmp_path) == TREE
    assert _tree.differences(tmp_path, TREE) == []
