# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm kit clone``: clones of kits with files, and a summary that pins their commits."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from farm.kit.checkout import check_out
from farm.kit.ebuilds import Kit
from farm.kit.model import Source
from farm.kit.repository import GitTree
from farm.kit.tokens import Servers
from farm.kit.workspace import Workspace
from farm.spec.document import open_source
from farm.spec.problem import FarmError, Place, Problem
from farm.spec.whole import write_whole
from farm.spec.yamltext import TEXT, parse

_SHAPE = {"sources": [dict.fromkeys(("name", "url", "branch", "commit_sha1"), TEXT)]}


def clone_kits(
    sources: Sequence[Source], to: Path, servers: Servers, *, depth: int, concurrency: int, single_branch: bool = True
) -> list[tuple[Source, str]]:
    """Clones each source into ``to/NAME``, replacing what an earlier call left: sources and their commits.

    FarmError with the problems of all that could not be cloned; ``folder-in-the-way``.
    """
    to.mkdir(parents=True, exist_ok=True)
    done = []
    with (
        tempfile.TemporaryDirectory(prefix=".clone-", dir=to) as scratch,
        Workspace(Path(scratch) / "work", servers, depth=depth, concurrency=concurrency) as work,
    ):
        for source, kit in zip(sources, work.sources(sources), strict=True):
            commit = _commit(kit)
            repository = work.repository(source.name, source.url)
            repository.git.run("update-ref", f"refs/heads/{source.branch}", commit)
            if not single_branch:
                repository.fetch_branches()
            check_out(repository, source.branch, to / source.name, single_branch=single_branch)
            done.append((source, commit))
    return done


def _commit(kit: Kit) -> str:
    assert isinstance(kit.tree, GitTree)
    return kit.tree.commit


def summary(done: Sequence[tuple[Source, str]]) -> str:
    """The summary's text: YAML with an indent of 4, as mark-devkit writes it."""
    lines = ["sources:"]
    for source, commit in done:
        values = (("url", source.url), ("branch", source.branch), ("commit_sha1", commit))
        lines.append(f"    - name: {_text(source.name)}")
        lines += [f"      {key}: {_text(value)}" for key, value in values]
    return "\n".join(lines) + "\n"


def _text(value: str) -> str:
    """A scalar that YAML takes for text; hexadecimal digits may look like a number."""
    plain = re.fullmatch(r"[A-Za-z][\w./:@+-]*", value) and value.lower() not in ("null", "true", "false", "yes", "no")
    looks_like_number = re.fullmatch(r"[0-9]+(?:e[0-9]+)?", value)
    hexadecimal = re.fullmatch(r"[0-9a-f]{40,64}", value) and not looks_like_number
    return value if (plain or hexadecimal) else '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def write_summary(file: Path, done: Sequence[tuple[Source, str]]) -> None:
    """Writes the summary whole."""
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, summary(done).encode())


def read_summary(file: Path) -> dict[str, str]:
    """Name of a kit → its commit. FarmError with all that is wrong with the file."""
    source, problems = open_source(str(file.absolute()))
    if source is None:
        raise FarmError(problems)
    parsed = parse(source.text, source.path, _SHAPE)
    data = parsed.data if isinstance(parsed.data, dict) else {}
    found: dict[str, str] = {}
    for index, entry in enumerate(data.get("sources") or []):
        commit = entry.get("commit_sha1") if isinstance(entry, dict) else None
        if (
            isinstance(entry, dict)
            and isinstance(entry.get("name"), str)
            and re.fullmatch(r"[0-9a-f]{40,64}", commit or "")
        ):
            found[entry["name"]] = str(commit)
        else:
            message = "an entry of a summary has name and commit_sha1"
            parsed.problems.append(Problem("bad-summary", message, parsed.place(("sources", index))))
    if not found and not parsed.problems:
        parsed.problems.append(Problem("bad-summary", "there are no sources", Place(source.path)))
    errors = [problem for problem in parsed.problems if problem.severity == "error"]
    if errors:
        raise FarmError(errors)
    return found
