# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``COPY --from`` takes out of a root, by Docker's rules (Dockerfile reference, COPY)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator

from farm.spec.problem import error
from farm.store.entry import FILE, FOLDER, HARDLINK, Entry, chunks, link_up
from farm.store.union import Union

Copy = tuple[Entry, Iterable[bytes]]


def copies(union: Union, source: str, target: tuple[bytes, bool]) -> Iterator[Copy]:
    """Entries with their content, their paths below the new root.

    ``target``: a path, and whether it is a folder that files go into. A folder's content goes to the path itself.
    A link named by ``source`` is followed, links inside a folder are kept. FarmError ``copy-missing``,
    ``copy-target``.
    """
    path, is_folder = target
    found = sorted(_matches(union, source))
    if not found:
        raise error("copy-missing", f"COPY --from: there is no {source} in the root")
    if len(found) > 1 and not is_folder:
        raise error(
            "copy-target", f"{source} is several files, and {os.fsdecode(path)!r} is no folder", hint="end it with /"
        )
    for name in found:
        real = union.resolve(name)
        top = union.entry(real) if real else Entry(b"", FOLDER, 0o755)
        if top is None or real is None:
            raise error("copy-missing", f"COPY --from: /{os.fsdecode(name)} leads nowhere")
        if top.kind == FOLDER:
            yield from _folder(union, real, top, path)
        else:
            top.path = _join(path, name.rpartition(b"/")[2]) if is_folder else path
            top.inode = None
            yield top, _content(top)


def _folder(union: Union, real: bytes, top: Entry, path: bytes) -> Iterator[Copy]:
    if path:
        top.path, top.opaque = path, False
        yield top, ()
    for entry in link_up(union.walk(real)):
        entry.path = _join(path, entry.path)
        if entry.kind == HARDLINK:
            entry.link = _join(path, entry.link)
        yield entry, _content(entry)


def _content(entry: Entry) -> Iterable[bytes]:
    return chunks(entry) if entry.kind == FILE else ()


def _matches(union: Union, source: str) -> set[bytes]:
    """Paths that the glob names, part by part; folders above the last part may be links."""
    found = {b""}
    for part in filter(None, os.fsencode(source).split(b"/")):
        found = {_join(folder, name) for folder in found for name in _named(union, folder, part)}
    return found


def _named(union: Union, folder: bytes, part: bytes) -> list[bytes]:
    real = union.resolve(folder)
    if real is None:
        return []
    if not re.search(rb"[*?\[\\]", part):
        return [part] if part in (b".", b"..") or union.entry(_join(real, part)) else []
    entry = union.entry(real) if real else None
    if entry is not None and entry.kind != FOLDER:
        return []
    pattern = glob_pattern(part)
    return [name for name in union.names(real) if pattern.fullmatch(name)]


def glob_pattern(glob: bytes) -> re.Pattern[bytes]:
    """One part of a path as Go's filepath.Match has it: ``*``, ``?``, ``[a-z]``, ``[^a]``, a backslash quotes.

    FarmError ``bad-glob``.
    """
    parts = []
    for piece in re.findall(rb"\*|\?|\[\^?(?:\\.|[^\]\\])+\]|\\.|.", glob, re.DOTALL):
        if piece == b"*":
            parts.append(b".*")
        elif piece == b"?":
            parts.append(b".")
        elif piece[:1] == b"[":
            if len(piece) == 1:
                raise error("bad-glob", f"bad pattern {os.fsdecode(glob)!r}: [ without ]")
            parts.append(piece.replace(b"[[", rb"[\["))
        else:
            parts.append(re.escape(piece[1:] if len(piece) > 1 else piece))
    return re.compile(b"".join(parts), re.DOTALL)


def _join(folder: bytes, name: bytes) -> bytes:
    return folder + b"/" + name if folder and name else folder or name
