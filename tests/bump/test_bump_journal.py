# SPDX-License-Identifier: GPL-3.0-or-later
"""Several files in one step: whatever was done of it, the next run does the rest."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from farm.bump.changes import Changes, FileChange
from farm.bump.journal import TreeJournal
from farm.spec.model import PackageId
from farm.spec.problem import FarmError

ONE, TWO = PackageId("c", "one", "1"), PackageId("c", "two", "1")


@pytest.fixture
def files(tmp_path: Path) -> list[FileChange]:
    """Three files and what they are to become."""
    made = []
    for name in "abc":
        path = tmp_path / name
        path.write_text(f"old {name}")
        path.chmod(0o640)
        made.append(FileChange(path, hashlib.sha256(path.read_bytes()).hexdigest(), f"new {name}".encode()))
    return made


@pytest.mark.parametrize("done", [0, 1, 2, 3])
def test_a_run_that_was_cut_off(tmp_path: Path, files: list[FileChange], done: int) -> None:
    TreeJournal(tmp_path / "state/j.json").begin(files, "why\n")
    for change in files[:done]:
        change.path.write_bytes(change.content)
    (tmp_path / ".b.4711.farm").write_text("half of")
    journal = TreeJournal(tmp_path / "state/j.json")
    pending = journal.pending()
    assert pending and pending.message == "why\n" and pending.files == tuple(files)
    journal.apply(pending)
    journal.apply(pending)
    assert [change.path.read_text() for change in files] == ["new a", "new b", "new c"]
    assert files[0].path.stat().st_mode & 0o777 == 0o640
    journal.done()
    assert journal.pending() is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "c", "state"]


def test_what_somebody_changed_meanwhile_is_not_lost(tmp_path: Path, files: list[FileChange]) -> None:
    journal = TreeJournal(tmp_path / "j.json")
    pending = journal.begin(files, "")
    files[1].path.write_text("mine")
    files[2].path.unlink()
    with pytest.raises(FarmError) as caught:
        journal.apply(pending)
    assert [problem.code for problem in caught.value.problems] == ["tree-changed", "tree-changed"]
    assert files[0].path.read_text() == "old a"
    assert files[1].path.read_text() == "mine"


def test_a_journal_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "j.json").write_text('{"files": 3}')
    with pytest.raises(FarmError) as caught:
        TreeJournal(tmp_path / "j.json").pending()
    assert caught.value.code == "bad-journal"


def test_changes_can_be_taken_back(tmp_path: Path) -> None:
    spec = tmp_path / "spec"
    (spec / "inner").mkdir(parents=True)
    for path in ("definition.yaml", "build.yaml", "patches", "inner/definition.yaml", "inner/x"):
        (spec / path).write_text("x")
    (spec / "link").symlink_to("patches")
    (tmp_path / "scratch").mkdir()
    changes = Changes(tmp_path / "scratch")
    changes.add(ONE, spec / "definition.yaml", lambda text: f"{text}1")
    changes.add(TWO, spec / "definition.yaml", lambda text: f"{text}2\n")
    changes.add(TWO, spec / "build.yaml", lambda text: f"{text}3")
    assert changes.diff(lambda path: path.name) == (
        "--- a/build.yaml\n+++ b/build.yaml\n@@ -1 +1 @@\n-x\n\\ No newline at end of file\n+x3\n"
        "\\ No newline at end of file\n--- a/definition.yaml\n+++ b/definition.yaml\n@@ -1 +1 @@\n-x\n"
        "\\ No newline at end of file\n+x12\n"
    )
    staged = Path(changes.staged()[str(spec)])
    assert sorted(path.name for path in staged.iterdir()) == ["build.yaml", "definition.yaml", "link", "patches"]
    assert (staged / "definition.yaml").read_text() == "x12\n"
    assert (staged / "build.yaml").read_text() == "x3"
    changes.take_back([TWO])
    assert [change.content for change in changes.files()] == [b"x1"]
    assert (Path(changes.staged()[str(spec)]) / "build.yaml").read_text() == "x"
    assert (spec / "definition.yaml").read_text() == "x"


def test_a_link_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("x")
    (tmp_path / "definition.yaml").symlink_to("real")
    with pytest.raises(FarmError) as caught:
        Changes(tmp_path).add(ONE, tmp_path / "definition.yaml", str)
    assert caught.value.code == "linked-file"
