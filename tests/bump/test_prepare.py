# SPDX-License-Identifier: GPL-3.0-or-later
"""From news to changes of a tree: real files, a real store, nothing built."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from farm.bump.decide import Base
from farm.bump.pins import Fetcher
from farm.bump.prepare import Prepared, Wanted, causes, prepare
from farm.bump.upstream import named
from farm.spec.load import load
from farm.spec.model import Tree
from farm.spec.specdigest import spec_digest
from farm.store.store import Store


class Place:
    """A tree, a store, and a folder with upstream's files."""

    def __init__(self, folder: Path, store: Store) -> None:
        self.tree, self.files, self.scratch = folder / "tree", folder / "files", folder / "scratch"
        for made in (self.tree, self.files, self.scratch):
            made.mkdir()
        self.store = store
        self.runs = 0

    def load(self, staged: Mapping[str, str] | None = None) -> Tree:
        """The tree."""
        return load([self.tree], staged=staged)

    def source(self, name: str, content: bytes) -> str:
        """Puts a file where upstream has it: its sha256."""
        (self.files / name).write_bytes(content)
        return hashlib.sha256(content).hexdigest()

    def prepare(self, versions: Mapping[str, str], base: Base | None = None, held: tuple[str, ...] = ()) -> Prepared:
        """What becomes of the tree."""
        self.runs += 1
        scratch = self.scratch / str(self.runs)
        scratch.mkdir()
        wanted = Wanted(named(self.load(), versions), base)
        return prepare(wanted, self.load, Fetcher(self.store, threading.Event()), scratch, held)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """An empty place."""
    with Store(tmp_path / "store") as store:
        yield Place(tmp_path, store)


BUILD = """image: x
sources:
- {{url: "file://{files}/tool-{{{{ .Values.version }}}}", sha256: "{{{{ .Values.digest }}}}"}}
steps: ["true"]
"""


def two(place: Place) -> str:
    """A collection of two packages, each with a digest of its own; the old digest."""
    old = place.source("tool-1", b"old")
    entry = "- {{category: c, name: {}, version: '1', digest: '{}'}}\n"
    (place.tree / "two").mkdir()
    (place.tree / "two/collection.yaml").write_text("packages:\n" + entry.format("a", old) + entry.format("b", old))
    (place.tree / "two/build.yaml").write_text(BUILD.format(files=place.files))
    return old


def test_a_digest_of_its_own_is_replaced_alone(place: Place) -> None:
    old, new = two(place), place.source("tool-2", b"new")
    made = place.prepare({"c/b": "2"})
    assert not made.problems
    [change] = made.changes.files()
    assert change.content.decode() == (
        f"packages:\n- {{category: c, name: a, version: '1', digest: '{old}'}}\n"
        f"- {{category: c, name: b, version: '2', digest: '{new}'}}\n"
    )
    assert place.store.has_blob(new)


def test_what_cannot_be_fetched_stays_and_the_other_moves(place: Place) -> None:
    old = two(place)
    place.source("tool-2", b"new")
    made = place.prepare({"c/a": "2", "c/b": "3"})
    assert [problem.code for problem in made.problems] == ["source-unavailable"]
    assert [str(move) for move in made.moves] == ["c/a: 1 -> 2"]
    assert made.changes.files()[0].content.decode().count(old) == 1


def test_an_unpinned_url_that_follows_the_build_is_warned_of(place: Place) -> None:
    two(place)
    made = place.prepare({}, dict.fromkeys(place.load().packages, "other"))
    assert [str(move) for move in made.moves] == ["c/a: 1 -> 1+1", "c/b: 1 -> 1+1"]
    assert [problem.code for problem in made.problems] == ["url-follows-build"] * 2


def test_held_packages_stay_and_who_is_to_blame_is_found(place: Place) -> None:
    for name, above in (("low", ""), ("mid", "low"), ("top", "mid")):
        (place.tree / name).mkdir()
        (place.tree / name / "definition.yaml").write_text(f"name: {name}\ncategory: c\nversion: '1'\n")
        requires = f'requires: [{{category: c, name: {above}, version: ">=1"}}]\n' if above else "image: x\n"
        (place.tree / name / "build.yaml").write_text(f"{requires}steps: ['true']\n")
    base = {id: spec_digest(package) for id, package in place.load().packages.items()}
    made = place.prepare({"c/low": "2", "c/mid": "2"}, base)
    by_name = {id.name: id for id in made.tree.packages}
    assert causes(made, [by_name["top"]]) == {"c/low", "c/mid"}
    assert causes(made, [by_name["mid"]]) == {"c/mid"}
    held = place.prepare({"c/low": "2", "c/mid": "2"}, base, ("c/mid",))
    assert [str(move) for move in held.moves] == ["c/low: 1 -> 2"]
    assert [str(id) for id in held.targets] == ["c/low-2"]
