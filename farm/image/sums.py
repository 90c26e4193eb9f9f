# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lists of digests beside an image say (``sha256sum``'s format), and who signed them (minisign)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

from farm.spec.problem import FarmError, Problem, Severity
from farm.spec.scan import printable
from farm.store.outputs import ALGORITHMS
from farm.store.signature import PublicKey, verify

_LINE = re.compile(r"([0-9a-f]{64,128})  ([^/]+)")


def verify_sums(file: Path, key: PublicKey | None) -> tuple[list[str], list[Problem]]:
    """What is right of the files that the image's lists name, and all that is wrong. The image has to be in each list.

    With a ``key`` there has to be every list, signed with it; without one, that there is none is a warning.
    """
    right: list[str] = []
    problems: list[Problem] = []
    stem = file.name.split(".")[0]
    lists = [(algorithm, file.with_name(f"{stem}.{algorithm}")) for algorithm in ALGORITHMS]
    there = [(algorithm, path) for algorithm, path in lists if path.is_file()]
    for algorithm, path in there:
        for line in _lines(path.read_bytes(), file.name, path.name, problems):
            _compare(line, algorithm, path, right, problems)
        if key:
            _signature(path, key, right, problems)
    for algorithm, path in lists if key else lists[:1] if not there else ():
        if not path.is_file():
            message = f"there is no {path.name}: only the structure was checked, not each byte"
            severity: Severity = "error" if key else "warning"
            hint = f"put {stem}.{algorithm} beside it" if file.is_file() else "a card's bytes are read back by `write`"
            problems.append(Problem("no-digests", message, None, hint, severity))
    return right, problems


def _lines(content: bytes, image: str, name: str, problems: list[Problem]) -> Iterator[re.Match[str]]:
    listed = False
    for line in content.decode(errors="backslashreplace").splitlines():
        match = _LINE.fullmatch(line)
        if not match:
            problems.append(Problem("bad-digests", f"{name}: {line!r} is no line of digests"))
            continue
        listed = listed or match[2] == image
        yield match
    if not listed:
        message = f"{name} does not name {printable(image)}: it is of other files"
        problems.append(Problem("not-listed", message, None, "the name has to be the one that it was made with"))


def _compare(line: re.Match[str], algorithm: str, path: Path, right: list[str], problems: list[Problem]) -> None:
    other = path.with_name(line[2])
    if not other.is_file():
        return
    with open(other, "rb") as content:
        same = hashlib.file_digest(content, algorithm).hexdigest() == line[1]
    if same:
        right.append(f"{algorithm} {other.name}")
    else:
        problems.append(Problem("digest-mismatch", f"{other.name} does not have its {algorithm}"))


def _signature(path: Path, key: PublicKey, right: list[str], problems: list[Problem]) -> None:
    signed = path.with_name(f"{path.name}.minisig")
    try:
        verify(path.read_bytes(), signed.read_bytes() if signed.is_file() else None, [key])
    except FarmError as failure:
        problems += [Problem(p.code, f"{path.name}: {p.message}", None, p.hint) for p in failure.problems]
    else:
        right.append(f"signature {path.name}")
