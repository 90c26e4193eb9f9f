# SPDX-License-Identifier: GPL-3.0-or-later
"""From what was found upstream and what the wagon has to the changes of a tree and what has to be built for them."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from farm.bump import decide
from farm.bump.changes import Changes, definition_file, version_edit
from farm.bump.decide import Base, Move, Policy, Reason
from farm.bump.pins import Fetcher, Pin, check_pins, unpinned, write_pin
from farm.bump.upstream import Raise
from farm.spec.model import Package, PackageId, Tree
from farm.spec.problem import FarmError, Problem

Load = Callable[[Mapping[str, str]], Tree]
"""Loads the trees with other folders in place of some (`farm.spec.load.load`)."""


@dataclasses.dataclass(frozen=True, slots=True)
class Wanted:
    """What a run is to do. ``base`` None: there is no wagon, only new versions count. ``atoms``: the packages that may
    move for their spec's sake (None: all). ``new``: packages that the wagon never had are built, too."""

    raises: Sequence[Raise]
    base: Base | None
    policy: Policy = "label"
    atoms: frozenset[str] | None = None
    new: bool = True


@dataclasses.dataclass(frozen=True, slots=True)
class Prepared:
    """What would become of the tree. ``problems``: what could not be done, each with its package."""

    changes: Changes
    tree: Tree
    moves: tuple[Move, ...]
    targets: tuple[PackageId, ...]
    problems: tuple[Problem, ...] = ()

    @property
    def message(self) -> str:
        """The message of the commit: what moved, and why."""
        title = str(self.moves[0]) if len(self.moves) == 1 else f"Bump {len(self.moves)} packages"
        lines = [f"* {move} ({_why(move)})" for move in self.moves]
        return "\n".join([title, "", *lines, ""])


def prepare(wanted: Wanted, load: Load, fetcher: Fetcher, scratch: Path, held: Collection[str] = ()) -> Prepared:
    """The changes and what has to be built. Packages in ``held`` (category/name) get no new version from upstream."""
    return _Preparation(wanted, load, fetcher, scratch, frozenset(held)).run()


class _Preparation:
    def __init__(self, wanted: Wanted, load: Load, fetcher: Fetcher, scratch: Path, held: frozenset[str]) -> None:
        self.wanted = wanted
        self.load = load
        self.fetcher = fetcher
        self.changes = Changes(scratch)
        self.raises = [made for made in wanted.raises if made.package.id.atom not in held]
        self.problems: list[Problem] = []
        self.moves: dict[PackageId, Move] = {}
        self.before = load({})

    def run(self) -> Prepared:
        self._raise()
        tree = self._pin(self._load())
        base = self.wanted.base
        if base is not None:
            self._move(tree, self._changed(tree, base))
            tree = self._load()
        moved = self._moved(tree)
        settled = set(moved) if base is None else {id for id in tree.packages if id not in base}
        self._move(tree, decide.below(tree, moved, self.wanted.policy, settled))
        tree = self._load()
        self._warn_of_urls(tree)
        moves = tuple(sorted(self.moves.values(), key=lambda move: move.old))
        return Prepared(self.changes, tree, moves, self._targets(tree), tuple(self.problems))

    def _load(self) -> Tree:
        return self.load(self.changes.staged())

    def _raise(self) -> None:
        for made in self.raises:
            id = made.package.id
            new = dataclasses.replace(id, version=made.version)
            self._edit(made.package, Move(id, new, "asked" if made.asked else "upstream"), made.labels)

    def _edit(self, package: Package, move: Move, labels: Mapping[str, str] | None = None) -> None:
        try:
            edit = version_edit(package, move.new.version, labels)
            self.changes.add(move.old, definition_file(package), edit)
        except FarmError as failure:
            self._note(failure, package)
        else:
            self.moves[move.old] = move

    def _pin(self, tree: Tree) -> Tree:
        """The tree with the sha256 of new sources. A package whose source cannot be pinned keeps its old version."""
        pins = [pin for move in self.moves.values() for pin in self._unpinned(tree, move)]
        if not pins:
            return tree
        written = [(pin, digest) for pin in pins if (digest := self._write(pin))]
        done = [(pin, digest) for pin, digest in written if pin.old in self.moves]
        tree = self._load()
        wrong = check_pins(self.before, tree, done)
        if not wrong:
            return tree
        self.problems += wrong
        folders = {tree.packages[id].folder for id in tree.packages if str(id) in {p.package for p in wrong}}
        self._take_back({pin.old for pin, _ in done if pin.package.folder in folders})
        return self._load()

    def _warn_of_urls(self, tree: Tree) -> None:
        """Tells of sources whose URL has the build in it: upstream has no such file."""
        for move in self.moves.values():
            before, after = self.before.packages.get(move.old), tree.packages.get(move.new)
            if move.reason in ("upstream", "asked") or before is None or after is None:
                continue
            for pin in unpinned(before, after):
                hint = "use a label package.version in the URL: it has no build"
                message = f"{move.new}: the URL of a source follows the build: {pin.source.url}"
                place, id = after.place, str(move.new)
                self.problems.append(Problem("url-follows-build", message, place, hint, "warning", id))

    def _unpinned(self, tree: Tree, move: Move) -> list[Pin]:
        after = tree.packages.get(move.new)
        return unpinned(self.before.packages[move.old], after) if after else []

    def _write(self, pin: Pin) -> str | None:
        if pin.old not in self.moves:
            return None
        try:
            digest = self.fetcher.digest(pin.source)
            write_pin(self.changes, pin, digest)
        except FarmError as failure:
            self._note(failure, pin.package)
            self._take_back({pin.old})
            return None
        return digest

    def _take_back(self, packages: set[PackageId]) -> None:
        self.changes.take_back(packages)
        for id in packages:
            self.moves.pop(id, None)

    def _changed(self, tree: Tree, base: Base) -> list[Move]:
        atoms = self.wanted.atoms
        found = decide.changed(tree, base)
        return [move for move in found if atoms is None or move.old.atom in atoms]

    def _move(self, tree: Tree, moves: Sequence[Move]) -> None:
        for move in moves:
            self._edit(tree.packages[move.old], move)

    def _moved(self, tree: Tree) -> dict[PackageId, Reason]:
        """What moved since the wagon's last revision (without a wagon: in this run), as it is in the tree now."""
        found = {move.new: move.reason for move in self.moves.values() if move.new in tree.packages}
        if self.wanted.base is not None:
            published = {id.atom for id in self.wanted.base}
            absent = (id for id in tree.packages if id not in self.wanted.base and id.atom in published)
            for id in absent:
                found.setdefault(id, "spec")
        return found

    def _targets(self, tree: Tree) -> tuple[PackageId, ...]:
        if self.wanted.base is not None:
            return tuple(decide.targets(tree, self.wanted.base, new=self.wanted.new))
        return tuple(sorted(move.new for move in self.moves.values() if move.new in tree.packages))

    def _note(self, failure: FarmError, package: Package) -> None:
        add = functools.partial(dataclasses.replace, package=str(package.id))
        self.problems += [add(problem, place=problem.place or package.place) for problem in failure.problems]


def causes(prepared: Prepared, failed: Collection[PackageId]) -> set[str]:
    """Whose new versions may be why these packages could not be built (``category/name``): theirs, and those below."""
    new = {move.new: move.old.atom for move in prepared.moves if move.reason in ("upstream", "asked")}
    own = {new[id] for id in failed if id in new}
    return own or {new[id] for id in decide.needs(prepared.tree, failed) if id in new}


def _why(move: Move) -> str:
    return {
        "upstream": "new version upstream",
        "asked": "asked for",
        "spec": "its spec changed",
        "published": "the wagon has a later build",
        "below": f"built upon {move.because}",
    }[move.reason]
