# SPDX-License-Identifier: GPL-3.0-or-later
"""``tarformers_specs``: which keys change what is taken of an archive, which have no meaning here.

Source of the keys and their meaning: github.com/geaaru/tar-formers, ``pkg/specs`` and ``pkg/executor``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from farm.spec.problem import FarmError, Place, Problem
from farm.spec.regex import compile_go
from farm.stage.metro.model import TarRules
from farm.store.entry import HARDLINK, Entry

_WITHOUT_MEANING = (
    "remap_users",
    "remap_groups",
    "map_entities",
    "broken_links_fatal",
    "overwrite_perms",
    "triggered_files",
    "triggered_matches_prefix",
)
"""What would change the result with tar-formers. What only makes it faster is not told of."""

Locate = Callable[..., Place]


def read_rules(data: Mapping[str, Any] | None, place: Locate) -> tuple[TarRules, list[Problem]]:
    """The rules that a spec comes to, and what is wrong with it. ``place`` gives where a key is written."""
    if not data:
        return TarRules(), []
    problems = [*_regexes(data, place), *_meaningless(data, place)]
    uids, gids = _ids(data, "remap_uids", place, problems), _ids(data, "remap_gids", place, problems)
    rules = TarRules(
        match_prefix=tuple(data.get("match_prefix") or ()),
        ignore_files=tuple(data.get("ignore_files") or ()),
        ignore_regexes=tuple(data.get("ignore_regexes") or ()),
        renames=_renames(data, "rename"),
        prefixes=_renames(data, "rename_paths"),
        uids=uids,
        gids=gids,
        same_owner=data.get("same_owner") is not False,
    )
    return rules, problems


class Rewriting:
    """Carries rules out on the entries of an archive, in order. The folders above what is taken are taken, too."""

    def __init__(self, rules: TarRules) -> None:
        self._rules = rules
        self._regexes: Sequence[re.Pattern[str]] = [compile_go(text) for text in rules.ignore_regexes]
        self._ignored = frozenset(rules.ignore_files)
        self._renames = dict(rules.renames)
        self._uids, self._gids = dict(rules.uids), dict(rules.gids)

    def apply(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """The entries that are taken, under their new names and owners. A link to what is left out is left out."""
        taken: dict[bytes, bytes] = {}
        for entry in entries:
            old = entry.path
            new = self.name(old)
            if new is None or (entry.kind == HARDLINK and entry.link not in taken):
                continue
            taken[old] = entry.path = new
            if entry.kind == HARDLINK:
                entry.link = taken[entry.link]
            self._own(entry)
            yield entry

    def name(self, path: bytes) -> bytes | None:
        """What a path becomes; None: it is left out."""
        shown = "/" + os.fsdecode(path)
        prefixes = self._rules.match_prefix
        if prefixes and not any(shown.startswith(p) or p.startswith(shown + "/") for p in prefixes):
            return None
        if shown in self._ignored or any(pattern.search(shown) for pattern in self._regexes):
            return None
        return os.fsencode(self._renamed(shown).lstrip("/")) or None

    def _renamed(self, shown: str) -> str:
        if shown in self._renames:
            return self._renames[shown]
        for source, dest in self._rules.prefixes:
            if shown.startswith(source):
                return dest + shown[len(source) :]
        return shown

    def _own(self, entry: Entry) -> None:
        if not self._rules.same_owner:
            entry.uid = entry.gid = 0
        entry.uid = self._uids.get(entry.uid, entry.uid)
        entry.gid = self._gids.get(entry.gid, entry.gid)


def _renames(data: Mapping[str, Any], key: str) -> tuple[tuple[str, str], ...]:
    return tuple((item["source"], item["dest"]) for item in data.get(key) or ())


def _ids(data: Mapping[str, Any], key: str, place: Locate, problems: list[Problem]) -> tuple[tuple[int, int], ...]:
    found = []
    for source, dest in (data.get(key) or {}).items():
        if source.isdecimal() and dest.isdecimal():
            found.append((int(source), int(dest)))
        else:
            message = f"{key}: {source}: {dest} are no numbers"
            problems.append(Problem("bad-id", message, place(key, source), "user and group ids are numbers"))
    return tuple(found)


def _regexes(data: Mapping[str, Any], place: Locate) -> Iterator[Problem]:
    for index, text in enumerate(data.get("ignore_regexes") or ()):
        try:
            compile_go(text)
        except FarmError as failure:
            yield Problem("bad-regex", failure.problems[0].message, place("ignore_regexes", index))
    for key in ("rename", "rename_paths"):
        for index, item in enumerate(data.get(key) or ()):
            if ".." in item["dest"].split("/"):
                yield Problem("bad-path", f"{item['dest']} leaves the root", place(key, index, "dest"))


def _meaningless(data: Mapping[str, Any], place: Locate) -> Iterator[Problem]:
    for key in _WITHOUT_MEANING:
        if data.get(key):
            yield Problem("without-meaning", f"{key} has no meaning here", place(key), severity="warning")
    writer = data.get("writer") or {}
    if writer.get("dirs") or writer.get("files"):
        message = "writer adds files of the host to the tarball"
        hint = "copy them into the root in an outer-post-chroot hook"
        yield Problem("writer-refused", message, place("writer"), hint)
