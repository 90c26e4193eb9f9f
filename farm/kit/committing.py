# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes commits: a stream for ``git fast-import`` (git-fast-import(1)), and signatures where they are wanted."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from farm.kit.git import Git
from farm.spec.problem import error

if TYPE_CHECKING:
    from farm.kit.repository import Author, Changes, NewCommit

_REF = "refs/farm/import"


def write_commits(git: Git, commits: Sequence[NewCommit], author: Author, refs: Mapping[str, int]) -> list[str]:
    """See `farm.kit.repository.Repository.commit`."""
    if not commits:
        return []
    with tempfile.NamedTemporaryFile(prefix="farm-marks-") as marks:
        stream = b"".join(_stream(commits, author))
        git.run("fast-import", "--quiet", "--force", f"--export-marks={marks.name}", stdin=stream)
        lines = Path(marks.name).read_text().split()
    made = dict(zip(lines[::2], lines[1::2], strict=True))
    ids = [made[f":{number + 1}"] for number in range(len(commits))]
    if author.signing_key:
        ids = _signed(git, commits, ids, author)
    updates = [f"update {name} {ids[number]}\n" for name, number in refs.items()]
    updates.append(f"delete {_REF}\n")
    git.run("update-ref", "--stdin", stdin="".join(updates).encode())
    return ids


def _stream(commits: Sequence[NewCommit], author: Author) -> Iterator[bytes]:
    yield b"feature done\n"
    for number, commit in enumerate(commits):
        who = f"{_plain(author.name)} <{_plain(author.email)}> {commit.when} +0000\n".encode()
        yield f"reset {_REF}\n\n".encode()
        yield f"commit {_REF}\nmark :{number + 1}\n".encode()
        yield b"author " + who + b"committer " + who
        yield b"data " + _data(commit.message.encode())
        if commit.parent != "":
            parent = f":{commit.parent + 1}" if isinstance(commit.parent, int) else commit.parent
            yield f"from {parent}\n".encode()
        yield from _files(commit.changes)
    yield b"done\n"


def _files(changes: Changes) -> Iterator[bytes]:
    for path in sorted(changes):
        check_path(path)
        quoted = b'"' + path.encode("utf-8", "surrogateescape").replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
        change = changes[path]
        if change is None:
            yield b"D " + quoted + b"\n"
        else:
            yield b"M " + change[0].encode() + b" inline " + quoted + b"\ndata " + _data(change[1])


def _data(content: bytes) -> bytes:
    return b"%d\n" % len(content) + content + b"\n"


def _plain(text: str) -> str:
    return "".join(c for c in text if c.isprintable() and c not in "<>")


def check_path(path: str) -> None:
    """FarmError ``unsafe-path`` for a path that a checkout must not write: ``..``, ``.git``, absolute, control."""
    parts = path.split("/")
    bad = any(part in ("", ".", "..") or part.lower() == ".git" for part in parts) or "\n" in path or "\0" in path
    if bad:
        raise error("unsafe-path", f"{path[:200]!r} is not a path inside a kit", hint="use a relative path without ..")


def _signed(git: Git, commits: Sequence[NewCommit], ids: Sequence[str], author: Author) -> list[str]:
    """Makes every commit once more with a signature, by ``gpg.format`` ssh (needs no gpg)."""
    assert author.signing_key is not None
    key = author.signing_key.absolute()
    if not key.is_file():
        raise error("no-signing-key", f"{key} is not there", hint="make one: ssh-keygen -t ed25519 -f FILE")
    trees = git.text("log", "--no-walk=unsorted", "--format=%T", *ids).split("\n")
    done: list[str] = []
    for commit, tree in zip(commits, trees, strict=True):
        parent = done[commit.parent] if isinstance(commit.parent, int) else commit.parent
        done.append(_sign(git, dataclasses.replace(commit, parent=parent), tree, author, key))
    return done


def _sign(git: Git, commit: NewCommit, tree: str, author: Author, key: Path) -> str:
    when = f"{commit.when} +0000"
    env = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER")
           for what, value in (("NAME", author.name), ("EMAIL", author.email), ("DATE", when))}  # fmt: skip
    parent = ["-p", str(commit.parent)] if commit.parent else []
    settings = ["-c", "gpg.format=ssh", "-c", f"user.signingKey={key}"]
    out = git.run(*settings, "commit-tree", "-S", tree, *parent, "-F", "-", stdin=commit.message.encode(), env=env)
    return out.decode().strip()
