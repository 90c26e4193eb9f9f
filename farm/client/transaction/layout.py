# SPDX-License-Identifier: GPL-3.0-or-later
"""Decides, before anything changes, where each file of a transaction goes, and finds all conflicts."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal

from farm.client.protect import Protection, following, latest
from farm.client.transaction.area import join, split
from farm.client.transaction.content import same
from farm.client.transaction.places import Places
from farm.client.transaction.stage import Staged
from farm.client.transaction.step import Attributes, Step
from farm.client.transaction.transfer import Transfer
from farm.client.transaction.view import View
from farm.spec.model import PackageId
from farm.spec.problem import FarmError, Problem
from farm.store.entry import FOLDER, Entry

Owners = Callable[[Sequence[bytes]], Mapping[bytes, PackageId]]
"""Real paths → who of the packages that stay has them; paths of nobody are left out."""


@dataclasses.dataclass(frozen=True, slots=True)
class Rules:
    """How to decide.

    ``overwrite``: take files from other packages. ``reserved``: paths that are the client's own; ``lock``: the one of
    them that may be moved with its folder, as a package may make ``var/lock`` a link. ``unclaimed``: folders that the
    client made for these, and that no package has yet: they become what the first package says.
    """

    unowned: Literal["replace", "refuse"] = "replace"
    overwrite: bool = False
    folder_modes: bool = False
    reserved: frozenset[bytes] = frozenset()
    lock: bytes = b""
    unclaimed: frozenset[bytes] = frozenset()


@dataclasses.dataclass(slots=True)
class Laid:
    """What a package will have in the root: raw path → real path of its files, and its folders."""

    files: dict[bytes, bytes] = dataclasses.field(default_factory=dict)
    folders: list[bytes] = dataclasses.field(default_factory=list)


class Layout:
    """The steps of one transaction. ``keep`` of `remove` are real paths that stay although their package goes."""

    def __init__(self, view: View, places: Places, owners: Owners, rules: Rules) -> None:
        self.view = view
        self.steps: list[Step] = []
        self.problems: list[Problem] = []
        self.taken: dict[bytes, PackageId] = {}
        """Real paths taken from packages that stay (``overwrite``)."""
        self.claimed: set[bytes] = set()
        """Folders that were there and belong to a package from now on."""
        self._places = places
        self._owners = owners
        self._rules = rules
        self._transfer = Transfer(places)
        self._users: Counter[bytes] = Counter()
        self._files: dict[bytes, PackageId] = {}
        self.made: dict[bytes, tuple[int, bool]] = {}
        """Folders that will be made: number of the step (-1: moved as a whole), and whether nobody mentions it."""
        self._cleared: set[bytes] = set()
        self._met: list[tuple[PackageId, bytes, bytes]] = []
        self._saved = 0

    def arrive(self, packages: Sequence[tuple[Staged, Protection]]) -> list[Laid]:
        """Finds a place for all files of the packages, in their order; what is wrong goes to ``problems``."""
        self.view.add_links(link for staged, _ in packages for link in staged.links())
        found = [_Package(staged, protection, self._reals(staged)) for staged, protection in packages]
        for package in found:
            self._users.update(package.reals.values())
        for package in found:
            self._folder(package, b"", b"")
        self._check_met()
        self._transfer.finish()
        return [package.laid for package in found]

    def remove(self, keep: Callable[[bytes], bool]) -> None:
        """Lets everything go that was to go and was not replaced."""
        rest = [path for path in sorted(self.view.going) if path not in self._files and not keep(path)]
        owned = self._owners(rest)
        for path in rest:
            if path not in owned and not self._is_cleared(path):
                self._remove(path)

    def _reals(self, staged: Staged) -> dict[bytes, bytes]:
        """Where the folders of a package really are; those that can be nowhere are told, and left out."""
        found: dict[bytes, bytes] = {}
        for folder in staged.children:
            try:
                found[folder] = self.view.real(folder)
            except FarmError as failure:
                for one in failure.problems:
                    message = f"{staged.id}: {one.message}"
                    self.problems.append(dataclasses.replace(one, message=message, package=str(staged.id)))
        return found

    def _folder(self, package: _Package, raw: bytes, real: bytes) -> None:
        for child in package.staged.children[raw]:
            if child.kind != FOLDER:
                self._file(package, child, join(real, child.path.rpartition(b"/")[2]))
                continue
            folder = package.reals.get(child.path)
            if folder is None or self._is_reserved(package, folder):
                continue
            package.laid.folders.append(folder)
            if self._enter(package, child, folder):
                self._folder(package, child.path, folder)

    def _enter(self, package: _Package, entry: Entry, real: bytes) -> bool:
        """Sees to it that the folder is there; False when it was moved with all that is in it."""
        if real in self._files:
            self._conflict(package, real, self._files[real])
            return False
        if real in self.made:
            self._settle(package, entry, real)
            return True
        if self.view.kind(real) == "d" and not self._is_cleared(real):
            unclaimed = real in self._rules.unclaimed and real not in self.claimed
            if (self._rules.folder_modes or unclaimed) and entry.path not in package.staged.implied:
                self._change_mode(entry, real)
                self.claimed.add(real)
            return True
        self._make_above(real)
        if real in self.view.going:
            self._remove(real)
        if self._users[real] == 1 and self._places.number(split(real)[0]) == 0:
            self._whole(package, entry, real)
            return False
        self.made[real] = (len(self.steps), entry.path in package.staged.implied)
        self.steps.append(Step("folder", 0, real, after=self._attributes(package, entry)))
        return True

    def _make_above(self, real: bytes) -> None:
        """Folders above what a link leads to, which no package may have mentioned."""
        above = split(real)[0]
        if above and above not in self.made and (self.view.kind(above) != "d" or self._is_cleared(above)):
            self._make_above(above)
            self.made[above] = (len(self.steps), True)
            self.steps.append(Step("folder", 0, above, after=Attributes(0o755, 0, 0)))

    def _settle(self, package: _Package, entry: Entry, real: bytes) -> None:
        """Of several packages with a folder the first that mentions it decides; with ``folder_modes`` the last."""
        number, implied = self.made[real]
        if number >= 0 and entry.path not in package.staged.implied and (implied or self._rules.folder_modes):
            self.steps[number] = self.steps[number]._replace(after=self._attributes(package, entry))
            self.made[real] = (number, False)

    def _attributes(self, package: _Package, entry: Entry) -> Attributes:
        return Attributes.of(entry, None if entry.path in package.staged.implied else entry.mtime)

    def _change_mode(self, entry: Entry, real: bytes) -> None:
        info = self.view.root.status(real)
        assert info is not None
        before = Attributes(info.st_mode & 0o7777, info.st_uid, info.st_gid)
        after = Attributes(entry.mode, entry.uid, entry.gid)
        if after != before:
            self.steps.append(Step("mode", 0, real, after=after, before=before))

    def _whole(self, package: _Package, entry: Entry, real: bytes) -> None:
        self.steps.append(Step("add", 0, real, join(package.staged.folder, entry.path)))
        self.made[real] = (-1, False)
        cut = len(entry.path)
        stack = [entry.path]
        while stack:
            for child in package.staged.children[stack.pop()]:
                path = real + child.path[cut:]
                if child.kind == FOLDER:
                    self.made[path] = (-1, False)
                    package.laid.folders.append(path)
                    stack.append(child.path)
                else:
                    self._files[path] = package.staged.id
                    package.laid.files[child.path] = path

    def _file(self, package: _Package, entry: Entry, real: bytes) -> None:
        if self._is_reserved(package, real):
            return
        if real in self._files or real in self.made:
            self._conflict(package, real, self._files.get(real))
            return
        package.laid.files[entry.path] = real
        self._files[real] = package.staged.id
        kind = "" if self._is_cleared(real) else self.view.kind(real)
        if kind == "d" and not self._clear(package, real):
            return
        source = join(package.staged.folder, entry.path)
        if kind in ("", "d"):
            self._move("add", package, entry, source, real)
        elif package.protection.covers(real) and not self._same(source, real):
            self._beside(package, entry, source, real)
        else:
            if real not in self.view.going:
                self._met.append((package.staged.id, real, source))
            self._move("replace", package, entry, source, real)

    def _move(
        self, kind: Literal["add", "replace"], package: _Package, entry: Entry, source: bytes, target: bytes
    ) -> None:
        place = self._places.number(split(target)[0])
        if place:
            source = self._transfer.copy(place, source, entry.path)
        saved = self._next() if kind == "replace" else -1
        self.steps.append(Step(kind, place, target, source, saved))

    def _beside(self, package: _Package, entry: Entry, source: bytes, real: bytes) -> None:
        """Keeps the file of the root, and puts the new one beside it."""
        folder, name = split(real)
        self.view.going.discard(real)
        names = self.view.listing(folder)
        last = latest(name, names)
        if last is not None and names[last] != "d" and self._same(source, join(folder, last)):
            self._move("replace", package, entry, source, join(folder, last))
        else:
            self._move("add", package, entry, source, join(folder, following(name, names)))

    def _same(self, source: bytes, real: bytes) -> bool:
        return same(os.fsencode(self._places.works[0]) + b"/" + source, self.view.root, real)

    def _clear(self, package: _Package, real: bytes) -> bool:
        """Lets a folder go whose whole content goes, since a file comes in its place."""
        if any(path not in self.view.going and path != self._rules.lock for path in self._below(real)):
            message = f"{package.staged.id} has a file where {self.view.root.show(real)} is a folder with other content"
            self.problems.append(Problem("folder-in-the-way", message, package=str(package.staged.id)))
            return False
        self._remove(real)
        return True

    def _below(self, folder: bytes) -> Iterator[bytes]:
        for name, kind in self.view.listing(folder).items():
            path = join(folder, name)
            yield from self._below(path) if kind == "d" else (path,)

    def _remove(self, path: bytes) -> None:
        self._cleared.add(path)
        self.steps.append(Step("remove", self._places.number(split(path)[0]), path, saved=self._next()))

    def _is_cleared(self, path: bytes) -> bool:
        """Whether a path goes, by itself or with a folder above it."""
        while path and self._cleared:
            if path in self._cleared:
                return True
            path = split(path)[0]
        return False

    def _next(self) -> int:
        self._saved += 1
        return self._saved

    def _is_reserved(self, package: _Package, real: bytes) -> bool:
        if real not in self._rules.reserved:
            return False
        message = f"{package.staged.id} has {self.view.root.show(real)}, which belongs to the client itself"
        self.problems.append(Problem("reserved-path", message, package=str(package.staged.id)))
        return True

    def _conflict(self, package: _Package, real: bytes, other: PackageId | None) -> None:
        owner = str(other) if other else "another package has as a folder"
        says = (
            f"{package.staged.id} and {owner} both have" if other else f"{package.staged.id} has a file that {owner}:"
        )
        message = f"{says} {self.view.root.show(real)}"
        self.problems.append(Problem("file-conflict", message, package=str(package.staged.id)))

    def _check_met(self) -> None:
        """Files that were met in the root and that no departing package has."""
        owners = self._owners([real for _, real, _ in self._met])
        for package, real, source in self._met:
            owner = owners.get(real)
            if owner is not None and self._rules.overwrite:
                self.taken[real] = owner
            elif owner is not None:
                message = f"{package} has {self.view.root.show(real)}, which belongs to {owner}"
                self.problems.append(Problem("file-conflict", message, package=str(package)))
            elif not self._same(source, real):
                self._tell_unowned(package, real)

    def _tell_unowned(self, package: PackageId, real: bytes) -> None:
        path = self.view.root.show(real)
        if self._rules.unowned == "refuse" and not self._rules.overwrite:
            message = f"{package} has {path}, which is there and belongs to no package"
            self.problems.append(Problem("file-conflict", message, hint="move it away", package=str(package)))
        else:
            message = f"{path}, which belonged to no package, is replaced by that of {package}"
            self.problems.append(Problem("unowned-replaced", message, severity="warning", package=str(package)))


@dataclasses.dataclass(frozen=True, slots=True)
class _Package:
    staged: Staged
    protection: Protection
    reals: Mapping[bytes, bytes]
    laid: Laid = dataclasses.field(default_factory=Laid)
