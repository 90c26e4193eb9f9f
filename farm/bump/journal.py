# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes several files of a tree in one step, as far as a later run is concerned.

Before the first file is touched, all new contents are on disk in the journal. A run that finds a journal first
finishes what it says: a file that is still as it was gets its new content, one that has it is left. So after a kill at
any moment the tree is, from the next run on, as if there had been none. The journal is removed when all that belongs
to the change is done (the wagon published, the commit made).
"""

from __future__ import annotations

import dataclasses
import glob
import hashlib
import json
import os
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path

from farm.bump.changes import FileChange
from farm.spec.problem import FarmError, Problem, error


@dataclasses.dataclass(frozen=True, slots=True)
class Pending:
    """A change that was begun. ``message`` is that of its commit."""

    files: tuple[FileChange, ...]
    message: str


class TreeJournal:
    """The journal of one tree, in ``file``. Whoever uses it holds the tree's lock."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def pending(self) -> Pending | None:
        """What an earlier run began and did not finish. FarmError ``bad-journal``."""
        try:
            data = json.loads(self.file.read_bytes())
            files = [FileChange(Path(f["path"]), f["before"], f["content"].encode()) for f in data["files"]]
            return Pending(tuple(files), data["message"])
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError, AttributeError) as fault:
            hint = f"look at the tree's changes, then remove {self.file}"
            raise error("bad-journal", f"{self.file} cannot be read", hint=hint) from fault

    def begin(self, files: Iterable[FileChange], message: str) -> Pending:
        """Writes down what is about to be done."""
        pending = Pending(tuple(files), message)
        entries = [{"path": str(f.path), "before": f.before, "content": f.content.decode()} for f in pending.files]
        self.file.parent.mkdir(parents=True, exist_ok=True)
        _forget_parts(self.file)
        _write(self.file, json.dumps({"files": entries, "message": message}).encode(), 0o600)
        return pending

    def apply(self, pending: Pending) -> None:
        """Gives every file its new content. FarmError ``tree-changed``, before any: a file was changed meanwhile."""
        states = [(change, _state(change)) for change in pending.files]
        hint = f"keep your change or the farm's; to forget the run that was cut off, remove {self.file}"
        changed = [
            Problem("tree-changed", f"{change.path} was changed since the farm read it", hint=hint)
            for change, state in states
            if state == "other"
        ]
        if changed:
            raise FarmError(changed)
        for change, state in states:
            _forget_parts(change.path)
            if state == "before":
                _write(change.path, change.content, stat.S_IMODE(change.path.stat().st_mode))

    def done(self) -> None:
        """Forgets what was written down."""
        self.file.unlink(missing_ok=True)


def _state(change: FileChange) -> str:
    try:
        content = change.path.read_bytes()
    except OSError:
        return "other"
    if content == change.content:
        return "after"
    return "before" if hashlib.sha256(content).hexdigest() == change.before else "other"


def _write(path: Path, content: bytes, mode: int) -> None:
    """Replaces a file in one step by one that is on disk; mode, and if possible owner, stay."""
    part = path.with_name(f".{path.name}.{os.getpid()}.farm")
    try:
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "wb") as out:
            out.write(content)
            os.fchmod(out.fileno(), mode)
            if path.exists() and os.geteuid() == 0:
                found = path.stat()
                os.fchown(out.fileno(), found.st_uid, found.st_gid)
            out.flush()
            os.fsync(out.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _forget_parts(path: Path) -> None:
    """Removes what a killed run left of writing a file. Nobody else writes it: the tree's lock is held."""
    for part in path.parent.glob(f".{glob.escape(path.name)}.*.farm"):
        if part.name.removeprefix(f".{path.name}.").removesuffix(".farm").isdigit():
            part.unlink(missing_ok=True)


def paths(files: Sequence[FileChange]) -> list[Path]:
    """The files' paths."""
    return [change.path for change in files]
