# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be changed in a tree's files, before anything is: as texts, as a diff, and as folders to load from."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import hashlib
import shutil
import stat
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from farm.spec.model import Package, PackageId
from farm.spec.problem import error
from farm.spec.scan import YAML_NAMES, Folder, scan

Edit = Callable[[str], str]
"""Makes the new text of a file out of the old one. FarmError when it cannot."""


@dataclasses.dataclass(frozen=True, slots=True)
class FileChange:
    """A file's new content; ``before`` is the sha256 of what it was made from."""

    path: Path
    before: str
    content: bytes


class Changes:
    """Edits of a tree's files, each for the sake of one package, so that those of a package can be taken back.

    ``scratch`` is a private folder for copies of the specs' folders.
    """

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._edits: list[tuple[PackageId, Path, Edit]] = []
        self._originals: dict[Path, bytes] = {}
        self._texts: dict[Path, str] = {}
        self._numbers: dict[str, int] = {}

    def add(self, package: PackageId, file: Path, edit: Edit) -> None:
        """Adds one edit on top of those before. FarmError of the edit, ``linked-file``, ``bad-encoding``."""
        self._texts[file] = edit(self.text(file))
        self._edits.append((package, file, edit))

    def take_back(self, packages: Iterable[PackageId]) -> None:
        """Forgets all edits made for these packages."""
        gone = set(packages)
        self._edits = [item for item in self._edits if item[0] not in gone]
        self._texts.clear()
        for _, file, edit in self._edits:
            self._texts[file] = edit(self.text(file))

    def text(self, file: Path) -> str:
        """A file as it is to be."""
        if file in self._texts:
            return self._texts[file]
        try:
            return self._original(file).decode()
        except UnicodeDecodeError as fault:
            raise error("bad-encoding", f"{file} is not UTF-8 text", hint="save the file in UTF-8") from fault

    def files(self) -> list[FileChange]:
        """All files that change, by path."""
        found = ((file, self._original(file), text.encode()) for file, text in sorted(self._texts.items()))
        return [FileChange(f, hashlib.sha256(old).hexdigest(), new) for f, old, new in found if old != new]

    def diff(self, shown: Callable[[Path], str] = str) -> str:
        """A unified diff of all files; ``shown`` gives the name of a file in it."""
        return "".join(self._diff(change, shown(change.path)) for change in self.files())

    def staged(self) -> dict[str, str]:
        """For each spec's folder with a change a copy of it that has it (see `farm.spec.load.load`)."""
        found: dict[str, str] = {}
        for change in self.files():
            folder = str(change.path.parent)
            if folder not in found:
                found[folder] = str(self._copy(folder))
            Path(found[folder], change.path.name).write_bytes(change.content)
        return found

    def _original(self, file: Path) -> bytes:
        if file not in self._originals:
            if file.is_symlink():
                raise error(
                    "linked-file", f"{file} is a link and is left alone", hint="change what it leads to by hand"
                )
            self._originals[file] = file.read_bytes()
        return self._originals[file]

    def _diff(self, change: FileChange, name: str) -> str:
        old, new = (content.decode().splitlines(keepends=True) for content in
                    (self._original(change.path), change.content))  # fmt: skip
        lines = difflib.unified_diff(old, new, f"a/{name}", f"b/{name}")
        return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)

    def _copy(self, folder: str) -> Path:
        """A new copy of a spec's folder, without the specs inside it."""
        number = self._numbers[folder] = self._numbers.get(folder, -1) + 1
        name = hashlib.sha256(folder.encode()).hexdigest()[:16]
        target = self._scratch / f"{name}-{number}"
        target.mkdir()
        for entry in _own(folder).entries:
            _copy_entry(Path(folder, entry.path), target / entry.path, entry.mode)
        return target


def _own(folder: str) -> Folder:
    found = scan(folder, [])
    return next((item for item in found if item.path == folder), Folder(folder, []))


def _copy_entry(source: Path, target: Path, mode: int) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if stat.S_ISLNK(mode) and target.name not in YAML_NAMES:
        target.symlink_to(source.readlink())
    elif stat.S_ISREG(mode) or (stat.S_ISLNK(mode) and source.is_file()):
        shutil.copyfile(source, target)
        target.chmod(stat.S_IMODE(mode) if stat.S_ISREG(mode) else 0o644)


def definition_file(package: Package) -> Path:
    """The definition.yaml or collection.yaml that a package stands in."""
    return Path(package.folder) / ("definition.yaml" if package.entry < 0 else "collection.yaml")


def version_edit(package: Package, version: str, labels: Mapping[str, str] | None = None) -> Edit:
    """Gives a package another version, and some of its labels other texts."""
    from farm.spec.bump import bump_definition

    entry = None if package.entry < 0 else package.entry
    file = str(definition_file(package))
    bump = functools.partial(bump_definition, file=file, version=version, entry=entry, labels=dict(labels or {}))
    return lambda text: bump(text).text
