# SPDX-License-Identifier: GPL-3.0-or-later
"""Which modules have to be loaded, and in which order, read from depmod's text files.

modprobe(8) does the same, but it also looks at the modules of the kernel it runs on.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping

FILES = ("modules.dep", "modules.softdep", "modules.alias", "modules.builtin")


class Modules:
    """What depmod's files (by name) say. Names are compared with ``_`` for ``-``."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self._paths: dict[str, str] = {}
        self._needs: dict[str, list[str]] = {}
        for line in files.get("modules.dep", "").splitlines():
            path, _, needs = line.partition(":")
            self._paths[module_name(path)] = path
            self._needs[module_name(path)] = [module_name(need) for need in needs.split()]
        self._before = dict(_before(files.get("modules.softdep", "")))
        self._aliases: dict[str, list[str]] = {}
        for words in map(str.split, files.get("modules.alias", "").splitlines()):
            if len(words) == 3 and words[0] == "alias":
                self._aliases.setdefault(words[1].replace("-", "_"), []).append(words[2].replace("-", "_"))
        self._inside = {module_name(line) for line in files.get("modules.builtin", "").splitlines()}

    def knows(self, name: str) -> bool:
        """Whether there is such a module, or it is built in."""
        plain = name.replace("-", "_")
        return plain in self._paths or plain in self._inside or plain in self._aliases

    def names(self) -> list[str]:
        """Names of all modules that can be loaded."""
        return list(self._paths)

    def order(self, names: Iterable[str]) -> list[str]:
        """Paths of the modules to load for these, each after all that it needs (softdeps included)."""
        done: dict[str, None] = {}
        for name in names:
            self._visit(name.replace("-", "_"), done, set())
        return [self._paths[name] for name in done]

    def _visit(self, name: str, done: dict[str, None], under_way: set[str]) -> None:
        if name in under_way or name in done:
            return
        if name not in self._paths:
            for other in self._aliases.get(name, ()):
                self._visit(other, done, under_way | {name})
            return
        for need in (*self._before.get(name, ()), *reversed(self._needs[name])):
            self._visit(need, done, under_way | {name})
        done.setdefault(name)


def module_name(path: str) -> str:
    """A module's name by its path."""
    return posixpath.basename(path).partition(".ko")[0].replace("-", "_")


def _before(text: str) -> Iterator[tuple[str, list[str]]]:
    """``softdep NAME pre: A B post: C``: what is loaded before."""
    for words in map(str.split, text.splitlines()):
        if len(words) > 2 and words[0] == "softdep":
            rest = " ".join(words[2:]).partition("pre:")[2].partition("post:")[0]
            yield words[1].replace("-", "_"), [word.replace("-", "_") for word in rest.split()]
