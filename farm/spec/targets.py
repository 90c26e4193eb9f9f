# SPDX-License-Identifier: GPL-3.0-or-later
"""Which packages of a tree a user's words mean."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

from farm.spec.model import PackageId, Tree
from farm.spec.problem import FarmError, Problem, error
from farm.spec.selector import parse_target
from farm.spec.version import Version


def find_targets(tree: Tree, texts: Sequence[str]) -> list[PackageId]:
    """The packages that targets (``category/name[@selector]``) mean: the highest version of each that fits.

    FarmError with all that mean none: ``unknown-target``, ``ambiguous-target``, ``bad-target``, ``bad-selector``.
    """
    by_name = _by_name(tree)
    found: dict[PackageId, None] = {}
    problems: list[Problem] = []
    for text in texts:
        try:
            found[_fitting(text, by_name)[-1]] = None
        except FarmError as failure:
            problems += failure.problems
    if problems:
        raise FarmError(problems)
    return list(found)


def made_for(tree: Tree, platform: str) -> list[PackageId]:
    """All packages but those that say (``platforms:``) that they cannot be made for ``platform``, in order."""
    return sorted(
        package.id
        for package in tree.packages.values()
        if package.build is None or not package.build.platforms or platform in package.build.platforms
    )


def find_versions(tree: Tree, text: str) -> list[PackageId]:
    """All versions of the package that a target means, the highest last. FarmError as `find_targets`."""
    return _fitting(text, _by_name(tree))


def _by_name(tree: Tree) -> dict[str, list[PackageId]]:
    by_name: dict[str, list[PackageId]] = {}
    for package in tree.packages:
        by_name.setdefault(package.name, []).append(package)
    return by_name


def _fitting(text: str, by_name: Mapping[str, list[PackageId]]) -> list[PackageId]:
    target = parse_target(text)
    name = target.literal if target.literal in by_name else target.name
    named = [package for package in by_name.get(name, []) if target.category in (None, package.category)]
    if len(categories := sorted({package.category for package in named})) > 1:
        hint = "write one of " + ", ".join(f"{category}/{target.name}" for category in categories)
        raise error("ambiguous-target", f"{text!r} is in several categories", hint=hint)
    admits = None if name == target.literal else target.selector.admits
    fitting = {
        version: p for p in named if (version := Version.parse(p.version)) and (admits is None or admits(version))
    }
    if fitting:
        return [fitting[version] for version in sorted(fitting)]
    if named:
        versions = ", ".join(sorted({package.version for package in named}))
        raise error("unknown-target", f"no version of {text!r} fits", hint=f"there are: {versions}")
    atoms = dict.fromkeys(package.atom for packages in by_name.values() for package in packages)
    near = difflib.get_close_matches(text, atoms, n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else "`farm lint` lists the problems of the tree"
    raise error("unknown-target", f"there is no package {text!r}", hint=hint)
