# SPDX-License-Identifier: GPL-3.0-or-later
"""Python requirements (PEP 508, PEP 440) as ebuild dependencies. Pure.

A requirement's marker is decided for the Python versions of ``python_compat`` and for a Linux host; every specifier
becomes its own atom, so that ``<1,>=0.3.7`` gives both.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from farm.kit.autogen.regexes import matches
from farm.spec.problem import FarmError, error

CATEGORY = "dev-python"
KNOWN_PYTHONS = ("3.9", "3.10", "3.11", "3.12", "3.13", "3.14")
"""What ``python3+`` stands for."""

USEDEP = "[${PYTHON_USEDEP}]"
_ORDER = (">=", ">", "==", "===", "~=", "<=", "<", "!=")
_LABELS = {"build": "bdepend", "both": "both", "post": "pdepend", "tool": "depend", "runtime": "rdepend"}
_LINUX = {
    "os_name": "posix",
    "sys_platform": "linux",
    "platform_system": "Linux",
    "platform_machine": "x86_64",
    "platform_release": "",
    "platform_version": "",
    "implementation_name": "cpython",
    "platform_python_implementation": "CPython",
}


def pythons(compat: str) -> tuple[str, ...]:
    """The versions that a ``python_compat`` names: ``python3+``, ``python3_{10..12}``, ``python3.9``, ``python3_9``."""
    found: list[str] = []
    for word in re.sub(r"\{([\d,. ]+)\}", lambda m: "{" + m[1].replace(" ", "") + "}", compat).split():
        if word in ("python3+", "python+"):
            found += KNOWN_PYTHONS
        elif match := re.fullmatch(r"python(3)[._]\{([\d,.]+)\}", word):
            found += [f"3.{minor}" for part in match[2].split(",") for minor in _range(part)]
        elif match := re.fullmatch(r"python(3)[._](\d+)\+?", word):
            found.append(f"3.{match[2]}")
    return tuple(dict.fromkeys(found)) or KNOWN_PYTHONS


def _range(part: str) -> Iterator[str]:
    first, _, last = part.partition("..")
    if first.isdigit() and (not last or last.isdigit()):
        yield from (str(minor) for minor in range(int(first), min(int(last or first), int(first) + 50) + 1))


def admits(requires_python: str, compat: str) -> bool:
    """Whether a release's ``requires_python`` allows one of the wanted versions; what cannot be read allows all."""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        specifiers = SpecifierSet(requires_python or "")
    except InvalidSpecifier:
        return True
    return any(specifiers.contains(f"{version}.99", prereleases=True) for version in pythons(compat))


def required_atoms(requirements: Iterable[str], compat: str, ignored: Sequence[str] = ()) -> list[str]:
    """Atoms of ``requires_dist``. What belongs to an extra, to other systems, or to other Pythons is left out.

    FarmError ``bad-requirement``.
    """
    atoms = [atom for text in requirements if not _is_ignored(text, ignored) for atom in _required(text, compat)]
    return list(dict.fromkeys(atoms))


def _is_ignored(text: str, ignored: Sequence[str]) -> bool:
    return any(matches(pattern, text) for pattern in ignored)


def _required(text: str, compat: str) -> list[str]:
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        requirement = Requirement(text)
    except InvalidRequirement as fault:
        raise error("bad-requirement", f"{text!r}: {str(fault).splitlines()[0]}") from None
    marker = requirement.marker
    if marker and not any(marker.evaluate(environment) for environment in _environments(compat)):
        return []
    return specified_atoms(requirement.name, str(requirement.specifier))


def _environments(compat: str) -> Iterator[dict[str, str]]:
    """Marker environments, without any extra."""
    for version in pythons(compat):
        full = f"{version}.99"
        yield {
            **_LINUX,
            "python_version": version,
            "python_full_version": full,
            "implementation_version": full,
            "extra": "",
        }


def specified_atoms(name: str, specifiers: str) -> list[str]:
    """The atoms for one distribution: one for each specifier, or the bare package. FarmError ``bad-requirement``."""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet
    from packaging.utils import canonicalize_name

    package = f"{CATEGORY}/{canonicalize_name(name)}"
    try:
        parsed = sorted(SpecifierSet(specifiers), key=lambda one: (_ORDER.index(one.operator), one.version))
    except InvalidSpecifier as fault:
        raise error("bad-requirement", f"{name} {specifiers}: {fault}") from None
    atoms = [atom for specifier in parsed for atom in _one(package, specifier.operator, specifier.version)]
    positive = any(not atom.startswith("!") for atom in atoms)
    return [*([] if positive else [package + USEDEP]), *dict.fromkeys(atoms)]


def _one(package: str, operator: str, text: str) -> list[str]:
    """PEP 440's operators in PMS's terms (PMS 8.3.1). ``==`` admits any ebuild revision, hence ``~``."""
    if operator in ("==", "!=") and text.endswith(".*"):
        atom = f"={package}-{portage_version(text[:-2])}*{USEDEP}"
        return [atom] if operator == "==" else ["!" + atom.removesuffix(USEDEP)]
    version = portage_version(text)
    if operator == "~=":
        numbers = re.match(r"(?:\d+!)?(\d+(?:\.\d+)*)", text)
        prefix = numbers[1].rpartition(".")[0] if numbers else ""
        return [f">={package}-{version}{USEDEP}", f"={package}-{prefix}*{USEDEP}"]
    if operator == "!=":
        return [f"!~{package}-{version}"]
    if operator in ("==", "==="):
        return [f"~{package}-{version}{USEDEP}"]
    return [f"{operator}{package}-{version}{USEDEP}"]


def portage_version(text: str) -> str:
    """A PEP 440 version in PMS form: ``2.0a1`` is ``2.0_alpha1``, ``1.post2`` ``1_p2``, ``1.dev3`` ``1_alpha_pre3``."""
    from packaging.version import InvalidVersion, Version

    try:
        version = Version(text)
    except InvalidVersion as fault:
        raise error("bad-requirement", f"{text!r} is no version (PEP 440)") from fault
    release = re.match(r"(?:v?\d+!)?v?(\d+(?:\.\d+)*)", text.strip())
    parts = [release[1] if release else version.base_version]
    if version.pre:
        kind, number = version.pre
        parts.append({"a": "_alpha", "b": "_beta", "rc": "_rc"}[kind] + str(number))
    if version.post is not None:
        parts.append(f"_p{version.post}")
    if version.dev is not None:
        parts.append(f"_pre{version.dev}" if version.pre or version.post is not None else f"_alpha_pre{version.dev}")
    return "".join(parts)


def written_dependencies(deps: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """``pydeps`` of an atom: lines for ``py_rdepend``, ``py_bdepend``, ``py_depend`` and ``py_pdepend``.

    FarmError ``bad-pydeps`` with all that is wrong, and ``bad-requirement``.
    """
    found: dict[str, list[str]] = {"rdepend": [], "bdepend": [], "depend": [], "pdepend": []}
    for label, texts in deps.items():
        kind, target, use = _label(label)
        for text in texts:
            lines = _written(text)
            lines = [f"{use}? ( {line} )" for line in lines] if kind == "use" else lines
            for name in ("rdepend", "bdepend") if target == "both" else (target,):
                found[name] += [line for line in lines if line not in found[name]]
    return {f"py_{name}": lines for name, lines in found.items() if lines}


def _label(label: str) -> tuple[str, str, str]:
    """Kind, target and USE flag of ``py:all:build`` or ``use:flag``."""
    parts = label.split(":")
    target = _LABELS.get(parts[2] if len(parts) > 2 else "runtime")
    if len(parts) not in (2, 3) or parts[0] not in ("py", "use") or not parts[1] or target is None:
        hint = "write py:all or use:FLAG, and after another colon build, runtime, both, tool or post"
        raise error("bad-pydeps", f"{label!r} is no key of pydeps", hint=hint)
    return parts[0], target, parts[1]


def _written(text: str) -> list[str]:
    """``name``, ``name >= 1`` or any PEP 508 requirement; a name is an ebuild's, which is not made canonical."""
    name, _, rest = text.strip().partition(" ")
    if re.fullmatch(r"[A-Za-z0-9][\w.+-]*(/[\w.+-]+)?", name) and not rest.strip():
        return [(name if "/" in name else f"{CATEGORY}/{name}") + USEDEP]
    match = re.fullmatch(r"([\w.+/-]*\w)\s*(~=|===?|!=|<=?|>=?)\s*(.+)", text.strip())
    if match is None:
        raise error("bad-pydeps", f"{text!r} is no dependency", hint="write NAME, or NAME >= VERSION")
    package = match[1] if "/" in match[1] else f"{CATEGORY}/{match[1]}"
    try:
        atoms = specified_atoms("x", match[2] + match[3])
    except FarmError:
        raise error("bad-pydeps", f"{text!r} is no dependency", hint="write NAME, or NAME >= VERSION") from None
    return [atom.replace(f"{CATEGORY}/x", package) for atom in atoms]


def joined(lines: Iterable[Any]) -> str:
    """As templates take it: each line after a line feed."""
    return "".join(f"\n{line}" for line in lines)
