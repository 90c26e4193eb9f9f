# SPDX-License-Identifier: GPL-3.0-or-later
"""What a schema cannot say about one spec: versions, selectors, regular expressions, paths, misspelt keys."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import Any

from farm.spec.assignment import assignments
from farm.spec.finding import Finding, nearest
from farm.spec.package import last_part, unpack_folder
from farm.spec.problem import FarmError
from farm.spec.regex import compile_go
from farm.spec.schema import keys_of
from farm.spec.selector import Selector
from farm.spec.version import Version

Data = dict[str, Any]
Path = tuple[str | int, ...]


def check_definition(data: Data) -> Iterator[Finding]:
    """Findings in a definition that satisfies its schema."""
    try:
        Version.parse(data["version"])
    except FarmError as e:
        yield _finding(e, ("version",))
    for key in ("requires", "conflicts", "provides"):
        yield from _selectors(data, key)
    rules = ((data.get("annotations") or {}).get("subsets") or {}).get("rules") or {}
    for subset, patterns in rules.items():
        yield from _regexes(patterns or (), ("annotations", "subsets", "rules", subset))


def check_build(data: Data, inherited: bool) -> Iterator[Finding]:
    """Findings in a rendered build that satisfies its schema; ``inherited``: its definition has ``requires``."""
    for key in ("requires", "conflicts", "provides"):
        yield from _selectors(data, key)
    for key in ("includes", "excludes"):
        yield from _regexes(data.get(key) or (), (key,))
    for i, text in enumerate(data.get("env") or ()):
        try:
            assignments(text)
        except FarmError as e:
            yield _finding(e, ("env", i))
    if ".." in (data.get("package_dir") or "").split("/"):
        yield Finding("bad-path", "package_dir must not have '..' in it", "write the absolute path", ("package_dir",))
    if (data.get("steps") or data.get("prelude")) and not (data.get("image") or data.get("requires") or inherited):
        hint = "add requires:, or image: (image: scratch for an empty root)"
        yield Finding("no-base", "there are commands to run, but no root to run them in", hint, ())
    yield from _copies(data)
    yield from _sources(data)


def near_misses(data: Data, templates: str) -> Iterator[Finding]:
    """Keys of a definition that look like a misspelt known one, and that no template uses."""
    known = keys_of("definition")
    for key in data.keys() - known:
        meant = _meant(key, tuple(sorted(known)))
        if meant and not re.search(rf"\b{re.escape(key)}\b", templates):
            hint = f"did you mean {meant!r}?"
            yield Finding("unknown-key", f"unknown key {key}, which no template uses", hint, (key,), at_key=True)


@functools.lru_cache(maxsize=4096)
def _meant(key: str, known: tuple[str, ...]) -> str | None:
    return nearest(key, list(known))


def _selectors(data: Data, key: str) -> Iterator[Finding]:
    for i, item in enumerate(data.get(key) or ()):
        yield from _selector(item.get("version"), (key, i, "version"))


def _selector(text: str | None, path: Path) -> Iterator[Finding]:
    try:
        Selector.parse(text or "")
    except FarmError as e:
        yield _finding(e, path)


def _regexes(patterns: Any, path: Path) -> Iterator[Finding]:
    for i, pattern in enumerate(patterns):
        try:
            compile_go(pattern)
        except FarmError as e:
            yield _finding(e, (*path, i))


def _copies(data: Data) -> Iterator[Finding]:
    for i, item in enumerate(data.get("copy") or ()):
        package, image = item.get("package"), item.get("image")
        if bool(package) == bool(image):
            hint = "write either package: or image:"
            yield Finding("bad-copy", f"copy[{i + 1}] needs one origin", hint, ("copy", i))
        elif package:
            yield from _selector(package.get("version"), ("copy", i, "package", "version"))


def _sources(data: Data) -> Iterator[Finding]:
    seen: set[str] = set()
    for i, item in enumerate(data.get("sources") or ()):
        folder, _ = unpack_folder(item.get("unpack"))
        if folder is not None:
            if folder.startswith("/") or ".." in folder.split("/"):
                hint = "name a folder below the working directory"
                yield Finding("bad-path", f"cannot unpack into {folder!r}", hint, ("sources", i, "unpack"))
            continue
        name = item.get("rename") or last_part(item["url"])
        if not name or "/" in name or name in (".", ".."):
            hint = "add rename: with the file's name"
            yield Finding("bad-path", f"the URL of sources[{i + 1}] has no file name", hint, ("sources", i, "url"))
        elif name in seen:
            hint = "add rename: to one of them"
            yield Finding("duplicate-source", f"two sources are called {name!r}", hint, ("sources", i))
        seen.add(name)


def _finding(e: FarmError, path: Path) -> Finding:
    problem = e.problems[0]
    return Finding(problem.code, problem.message, problem.hint, path)
