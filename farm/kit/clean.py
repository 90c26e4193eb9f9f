# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm kit clean``: which old versions go, and what goes with them.

Of the versions that a rule is about, ``max_versions`` stay (at least one), the oldest go first. Versions pinned by
``versions:`` stay and do not count. Slots are only told apart where the rule names one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from farm.kit.atom import Cpv
from farm.kit.ebuilds import Kit
from farm.kit.manifest import Distfile, Manifest, salvage
from farm.kit.masks import is_masked, masks_of
from farm.kit.merge.candidates import fits
from farm.kit.metadata.entry import Metadata
from farm.kit.metadata.reading import MetadataReader
from farm.kit.model import Rule
from farm.kit.tree import FILE
from farm.kit.unit import Unit, purge
from farm.spec.problem import Problem

DEFAULT_MAX = 5
"""Versions that stay where the specification says nothing."""

Contents = dict[str, tuple[str, bytes] | None]


def plan_clean(
    rules: Sequence[Rule],
    target: Kit,
    reader: MetadataReader,
    problems: list[Problem],
    *,
    default_max: int | None = None,
    skip_masked: bool = False,
) -> list[Unit]:
    """A unit for each package with versions to remove, sorted.

    ``skip_masked``: masked versions are not looked at: they neither count nor go. A package with an ebuild that
    portage cannot read is left alone, with a warning.
    """
    names = {rule.wanted.catpkg for rule in rules}
    ebuilds = [cpv for name in sorted(names) for cpv in target.packages.get(name, ())]
    scanned = reader.read(target, ebuilds)
    masks = masks_of(target) if skip_masked else []
    removed: dict[str, set[Cpv]] = {}
    for rule in rules:
        if broken := [cpv for cpv in scanned.failed if cpv.catpkg == rule.wanted.catpkg]:
            _tell(rule, broken, scanned.failed, problems)
            continue
        old = excess(rule, target, scanned.found, masks, default_max)
        if old:
            removed.setdefault(rule.wanted.catpkg, set()).update(old)
    return [_unit(name, sorted(removed[name]), target, scanned.found) for name in sorted(removed)]


def excess(
    rule: Rule, target: Kit, known: Mapping[Cpv, Metadata], masks: list[str], default_max: int | None = None
) -> list[Cpv]:
    """The versions of a rule's package that are too many, oldest first."""
    mine = [
        cpv
        for cpv in target.packages.get(rule.wanted.catpkg, ())
        if known[cpv].keywords
        and fits(rule, cpv, known[cpv].slot)
        and cpv.version not in rule.versions
        and not is_masked(cpv, known[cpv].slot, masks)
    ]
    said = rule.max_versions if rule.max_versions is not None else default_max
    keep = max(1, DEFAULT_MAX if said is None else said)
    return mine[: max(0, len(mine) - keep)]


def _tell(rule: Rule, broken: Iterable[Cpv], why: Mapping[Cpv, str], problems: list[Problem]) -> None:
    for cpv in broken:
        message = f"{cpv}: portage cannot read it: {why[cpv]}; {rule.wanted} is left as it is"
        problems.append(Problem("bad-ebuild", message, rule.place, "mend or remove the ebuild", "warning", str(cpv)))


def _unit(catpkg: str, old: Sequence[Cpv], target: Kit, known: Mapping[Cpv, Metadata]) -> Unit:
    kept = [cpv for cpv in target.packages[catpkg] if cpv not in old]
    changes: Contents = {cpv.path: None for cpv in old}
    changes |= _manifest(catpkg, kept, target, known)
    changes |= _files(catpkg, old, kept, target, known)
    return purge(catpkg, [cpv.version for cpv in old], target.branch, changes)


def _manifest(catpkg: str, kept: Sequence[Cpv], target: Kit, known: Mapping[Cpv, Metadata]) -> Contents:
    """The Manifest without lines that no version needs any more; lines of no version at all go, too."""
    path = f"{catpkg}/Manifest"
    if path not in target.tree.entries:
        return {}
    before = target.tree.read(path)
    needed = {name for cpv in kept for name in known[cpv].distfiles}
    lines: dict[str, Distfile] = dict(salvage(before).only(needed).distfiles)
    content = Manifest(lines).to_bytes()
    if content == before:
        return {}
    return {path: (FILE, content) if content else None}


def _files(
    catpkg: str, old: Sequence[Cpv], kept: Sequence[Cpv], target: Kit, known: Mapping[Cpv, Metadata]
) -> Contents:
    """Files below ``files/`` that only the removed versions can mean.

    A file goes when the text of a removed ebuild names it and that of no kept one does, nor any eclass that a kept
    one inherits. What no ebuild names by its whole name stays: it may be put together out of variables.
    """
    inside = [path for path in target.folder(catpkg) if path.startswith("files/")]
    if not inside:
        return {}
    mine = "\n".join(target.read_text(cpv.path) for cpv in kept)
    inherited = {name for cpv in kept for name in known[cpv].eclasses}
    mine += "\n".join(target.read_text(f"eclass/{name}.eclass") for name in sorted(inherited))
    gone = "\n".join(target.read_text(cpv.path) for cpv in old)
    changes: Contents = {}
    for path in inside:
        name = path.rsplit("/", 1)[-1]
        if any(_names(_expanded(gone, cpv), name) for cpv in old) and not _may_name(mine, kept, path):
            changes[f"{catpkg}/{path}"] = None
    return changes


_PARAMETERS = ("P", "PN", "PV", "PR", "PVR", "PF")


def _expanded(text: str, cpv: Cpv) -> str:
    """An ebuild's text with PMS's variables of its name put in."""
    plain = cpv.with_revision(0)
    values = dict(zip(_PARAMETERS, (plain.pf, cpv.name, plain.version, f"r{cpv.revision}", cpv.version, cpv.pf),
                      strict=True))  # fmt: skip
    return re.sub(r"\$(?:\{(PVR|PV|PN|PR|PF|P)\}|(PVR|PV|PN|PR|PF|P)\b)", lambda m: values[m[1] or m[2]], text)


def _names(text: str, name: str) -> bool:
    return re.search(rf"(?<![\w.+-]){re.escape(name)}(?![\w+-])", text) is not None


def _may_name(text: str, kept: Sequence[Cpv], path: str) -> bool:
    """Whether a kept version names a file, its folder, or takes files by a pattern or a variable of its own."""
    parts = path.removeprefix("files/").split("/")
    if any(_names(_expanded(text, cpv), part) for cpv in kept for part in parts):
        return True
    uses = re.findall(r"\$\{?FILESDIR\}?[\"']?(\S*)", text)
    return any(re.search(r"[*?\[{]|\$", _without_names(use)) for use in uses)


def _without_names(use: str) -> str:
    return re.sub(r"\$(?:\{(?:PVR|PV|PN|PR|PF|P)\}|(?:PVR|PV|PN|PR|PF|P)\b)", "", use)
