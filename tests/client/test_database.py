# SPDX-License-Identifier: GPL-3.0-or-later
"""The database of installed packages."""

from __future__ import annotations

import os
import signal
import sqlite3
from pathlib import Path

import pytest
from client_wagons import installed

from farm.client.database import Database, Installed, requirements
from farm.spec.model import PackageId, Requirement
from farm.spec.problem import FarmError

X = PackageId("a", "x", "1")


def open_database(tmp_path: Path) -> Database:
    return Database(tmp_path / "db" / "anise.sqlite")


def test_a_package_comes_back_as_it_was(tmp_path: Path) -> None:
    given = Installed(
        X, "main", {"name": "x", "requires": [{"category": "a", "name": "y", "version": ">=1"}], "hidden": True},
        ("usr/bin/x", "etc/ü\udcff"), {"install": ["true"]}, False, {"usr/bin/x": "0" * 64}, ("var/empty",), "f" * 64,
    )  # fmt: skip
    with open_database(tmp_path) as database:
        with database.transaction():
            database.add(given)
        assert database.get(X) == Installed(
            X, "main", given.runtime, tuple(sorted(given.files)), *[getattr(given, name) for name in
            ("finalizer", "requested", "digests", "directories", "sha256")]
        )  # fmt: skip
        assert database.get(X).requires == (Requirement("a", "y", ">=1"),)  # type: ignore[union-attr]
        assert database.get(PackageId("a", "x", "2")) is None
        assert database.installed(files=False)[0].files == ()
    with open_database(tmp_path) as database:
        assert [one.id for one in database.installed()] == [X]


def test_owners(tmp_path: Path) -> None:
    with open_database(tmp_path) as database:
        with database.transaction():
            database.add(installed("a/x-1", ["usr/bin/x", "usr/share/x"]))
            database.add(installed("a/y-1", ["usr/bin/y"]))
        assert database.owner("/usr/bin/x") == X
        assert database.owner("usr/bin") is None
        assert database.owners(["usr/bin/x", "usr/bin/y", "none"]) == {
            "usr/bin/x": X,
            "usr/bin/y": PackageId("a", "y", "1"),
        }
        with database.transaction():
            database.remove(X)
        assert database.owner("usr/bin/x") is None
        assert dict(database.paths()) == {"usr/bin/y": PackageId("a", "y", "1")}


def test_adding_again_replaces(tmp_path: Path) -> None:
    with open_database(tmp_path) as database, database.transaction():
        database.add(installed("a/x-1", ["old"]))
        database.add(installed("a/x-1", ["new", "new"]))
        assert [one.files for one in database.installed()] == [("new",)]
        database.set_requested(X, False)
        assert not database.installed()[0].requested


def test_a_transaction_is_all_or_nothing(tmp_path: Path) -> None:
    with open_database(tmp_path) as database:
        with database.transaction("first"):
            database.add(installed("a/x-1"))
        with pytest.raises(RuntimeError), database.transaction("second"):
            database.remove(X)
            database.add(installed("a/y-1"))
            raise RuntimeError
        assert [one.id for one in database.installed()] == [X]
        assert database.last_transaction() == "first"
        with database.transaction():
            database.add(installed("a/y-1"))
        assert database.last_transaction() == "first"


def test_others_see_it_at_its_end_only(tmp_path: Path) -> None:
    with open_database(tmp_path) as database, open_database(tmp_path) as reader:
        with database.transaction():
            database.add(installed("a/x-1"))
            assert reader.installed() == []
        assert [one.id for one in reader.installed()] == [X]


def test_a_killed_process_changes_nothing(tmp_path: Path) -> None:
    with open_database(tmp_path) as database, database.transaction("before"):
        database.add(installed("a/x-1", ["usr/bin/x"]))
    pid = os.fork()
    if pid == 0:
        with open_database(tmp_path) as database, database.transaction("killed"):
            database.remove(X)
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    with open_database(tmp_path) as database:
        assert database.last_transaction() == "before"
        assert database.owner("usr/bin/x") == X


@pytest.mark.parametrize("content", [b"not a database, but long enough to look like one" * 100, b"SQLite format 3\0"])
def test_a_damaged_file_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "db").mkdir()
    (tmp_path / "db" / "anise.sqlite").write_bytes(content)
    with pytest.raises(FarmError) as caught:
        open_database(tmp_path)
    assert caught.value.code == "bad-database"


def test_a_database_of_a_later_farm_is_left_alone(tmp_path: Path) -> None:
    open_database(tmp_path).close()
    raw = sqlite3.connect(tmp_path / "db" / "anise.sqlite")
    raw.execute("PRAGMA user_version = 99")
    raw.close()
    with pytest.raises(FarmError) as caught:
        open_database(tmp_path)
    assert caught.value.code == "bad-database"


def test_reindex(tmp_path: Path) -> None:
    with open_database(tmp_path) as database:
        with database.transaction():
            database.add(installed("a/x-1", [f"usr/share/{n}" for n in range(1000)]))
        database.reindex()
        assert database.owner("usr/share/7") == X


def test_hostile_requirements_are_left_out() -> None:
    listed = {"requires": ["text", None, {"category": "a"}, {"name": "x", "category": 5, "version": None}]}
    assert requirements(listed, "requires") == (Requirement("5", "x"),)
    assert requirements({"requires": {"a": 1}}, "requires") == ()
