# SPDX-License-Identifier: GPL-3.0-or-later
"""The sha256 of sources whose URL follows the version: fetched once, and written where the old one stands.

What upstream serves on that day is what is pinned: nothing is compared with a signature. So the change is one that a
person reads (a diff, a commit), and every later build is held to it.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import re
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from farm.bump.changes import Changes, definition_file
from farm.spec.edit import edit_text
from farm.spec.model import Package, PackageId, Source, Tree
from farm.spec.problem import FarmError, Problem, error
from farm.spec.yamltext import TEXT, parse

if TYPE_CHECKING:
    from farm.store.store import Store

LIMIT = 8 << 30
"""Bytes of the largest source that is fetched."""


@dataclasses.dataclass(frozen=True, slots=True)
class Pin:
    """A source of a package's new version that still has the sha256 of the old one's. ``old``: who it was."""

    old: PackageId
    package: Package
    source: Source


def unpinned(before: Package, after: Package) -> list[Pin]:
    """The sources whose URL changed and whose sha256 did not."""
    old = before.build.sources if before.build else ()
    new = after.build.sources if after.build else ()
    known = {source.sha256: source.url for source in old}
    return [Pin(before.id, after, source) for source in new if known.get(source.sha256, source.url) != source.url]


class Fetcher:
    """Fetches sources of which nobody knows the sha256 yet, each once."""

    def __init__(self, store: Store, cancel: threading.Event, say: Any = lambda _line: None) -> None:
        self._store = store
        self._cancel = cancel
        self._say = say
        self._known: dict[str, str] = {}

    def digest(self, source: Source) -> str:
        """The sha256 of the file, which the store has from then on. FarmError ``source-unavailable``."""
        if source.url not in self._known:
            self._known[source.url] = self._fetch(source)
        return self._known[source.url]

    def _fetch(self, source: Source) -> str:
        from farm.store.download import download

        said = []
        for url in (source.url, *source.mirrors):
            self._say(f"fetching {url}")
            try:
                if url.startswith("apt:"):
                    raise error("download-failed", "apt's archives are only asked for files of a known sha256")
                with self._store.scratch("pin") as folder:
                    part = folder / "source"
                    download(url, part, self._cancel, self._say, limit=LIMIT)
                    return self._take(part)
            except FarmError as failure:
                said.append(f"\n  {url}: {failure.problems[0].message}")
        raise error("source-unavailable", f"the new source cannot be fetched:{''.join(said)}")

    def _take(self, part: Path) -> str:
        with open(part, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return self._store.put_blob(part, digest)


def write_pin(changes: Changes, pin: Pin, digest: str) -> None:
    """Writes a new sha256 where the old one stands: in the package's definition, or else in its build.yaml.

    FarmError ``pin-elsewhere`` when it stands in neither, or not in one place.
    """
    package, old = pin.package, pin.source.sha256
    file = definition_file(package)
    if paths := _in_definition(changes.text(file), file, package, old):
        values = {path: _swapped(text, old, digest) for path, text in paths}
        changes.add(pin.old, file, functools.partial(edit_text, file=str(file), values=values))
        return
    build = Path(package.folder) / "build.yaml"
    if len(re.findall(old, changes.text(build), re.IGNORECASE)) != 1:
        hint = f"write {digest} where the value comes from (a value file, a template?), and call the command again"
        message = f"{package.id}: the sha256 of {pin.source.url} does not stand in one place of its spec"
        raise FarmError(Problem("pin-elsewhere", message, package.place, hint, package=str(package.id)))
    changes.add(pin.old, build, functools.partial(_swapped, old=old, new=digest))


def check_pins(before: Tree, after: Tree, pins: Sequence[tuple[Pin, str]]) -> list[Problem]:
    """Whether each package got its new sha256, and no other package of its folder another one."""
    wanted: dict[PackageId, set[str]] = {}
    for pin, digest in pins:
        wanted.setdefault(pin.package.id, set()).add(digest)
    folders = {pin.package.folder for pin, _ in pins}
    was = {(package.folder, package.entry): package for package in before.packages.values()}
    problems = []
    for id, package in after.packages.items():
        if package.folder not in folders:
            continue
        have = {source.sha256 for source in package.build.sources} if package.build else set()
        old = was.get((package.folder, package.entry), package).build
        kept = {source.sha256 for source in old.sources} if old else set()
        if (id in wanted and not wanted[id] <= have) or (id not in wanted and have != kept):
            hint = "give each package a value of its own in its definition (sha256: …), and use it in build.yaml"
            message = f"{id}: its sources share a sha256 with another version or package of the folder"
            problems.append(Problem("pin-elsewhere", message, package.place, hint, package=str(id)))
    return problems


def _in_definition(text: str, file: Path, package: Package, digest: str) -> list[tuple[tuple[str | int, ...], str]]:
    """Where in the package's own definition a text holds the digest: paths and texts."""
    parsed = parse(text.removeprefix("\ufeff"), str(file), {"*": TEXT})
    data, base = parsed.data, ()  # type: Any, tuple[str | int, ...]
    if package.entry >= 0:
        data, base = data["packages"][package.entry], ("packages", package.entry)
    return [((*base, *path), value) for path, value in _texts(data) if digest in value.lower()]


def _texts(data: Any) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if isinstance(data, str):
        yield (), data
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        yield from (((key, *path), text) for path, text in _texts(value))


def _swapped(text: str, old: str, new: str) -> str:
    return re.sub(old, new, text, flags=re.IGNORECASE)
