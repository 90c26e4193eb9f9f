# SPDX-License-Identifier: GPL-3.0-or-later
"""Generated kits: ebuilds, Manifests, ``files/``, eclasses, and a history, written with git's fast-import."""

from __future__ import annotations

import hashlib
from pathlib import Path

from git_server import git


def digests(name: str) -> str:
    """The DIST line of a made-up distfile whose content is its name."""
    content = name.encode()
    blake, sha = hashlib.blake2b(content).hexdigest(), hashlib.sha512(content).hexdigest()
    return f"DIST {name} {len(content)} BLAKE2B {blake} SHA512 {sha}"


def ebuild(name: str, *, slot: str = "0", keywords: str = "*", eclass: str = "", more: str = "") -> bytes:
    """An ebuild with one distfile ``NAME-VERSION.tar.gz``."""
    inherit = f"inherit {eclass}\n" if eclass else ""
    return (f'EAPI=7\n{inherit}DESCRIPTION="Package {name}"\nHOMEPAGE="https://example.org"\n'
            f'SRC_URI="https://example.org/{name}-${{PV}}.tar.gz"\nLICENSE="MIT"\nSLOT="{slot}"\n'
            f'KEYWORDS="{keywords}"\n{more}').encode()  # fmt: skip


def cache_entry(name: str, version: str, content: bytes, *, slot: str = "0", keywords: str = "*") -> bytes:
    """What egencache writes for such an ebuild without an eclass."""
    base = version.split("-r")[0]
    return (f"DEFINED_PHASES=-\nDESCRIPTION=Package {name}\nEAPI=7\nHOMEPAGE=https://example.org\nKEYWORDS={keywords}\n"
            f"LICENSE=MIT\nSLOT={slot}\nSRC_URI=https://example.org/{name}-{base}.tar.gz\n"
            f"_md5_={hashlib.md5(content).hexdigest()}\n").encode()  # fmt: skip


class Tree:
    """Files of a kit that are about to be committed; ``cached`` ships an md5-cache, so that portage need not run."""

    def __init__(self, *, cached: bool = True) -> None:
        self.files: dict[str, bytes | None] = {}
        self.modes: dict[str, str] = {}
        self.cached = cached
        self.lines: dict[str, set[str]] = {}

    def add(self, catpkg: str, version: str, **keys: str) -> None:
        """Adds an ebuild with its distfile."""
        name = catpkg.split("/")[1]
        content = ebuild(name, **keys)
        self.files[f"{catpkg}/{name}-{version}.ebuild"] = content
        self.lines.setdefault(catpkg, set()).add(digests(f"{name}-{version.split('-r')[0]}.tar.gz"))
        self.files[f"{catpkg}/Manifest"] = "".join(f"{line}\n" for line in sorted(self.lines[catpkg])).encode()
        if self.cached and set(keys) <= {"slot", "keywords"}:
            category = catpkg.split("/")[0]
            entry = cache_entry(name, version, content, **keys)
            self.files[f"metadata/md5-cache/{category}/{name}-{version}"] = entry

    def commit(self, repository: Path, branch: str, message: str = "change", when: int = 1_700_000_000) -> str:
        """Commits all files on a branch: the commit's id."""
        stream = [f"commit refs/heads/{branch}\ncommitter Somebody <somebody@example.org> {when} +0000\n".encode()]
        stream.append(b"data %d\n" % len(message) + message.encode() + b"\n")
        known = git(repository, "for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}")
        if known:
            stream.append(f"from {known}\n".encode())
        for path, content in self.files.items():
            if content is None:
                stream.append(f"D {path}\n".encode())
            else:
                stream.append(
                    f"M {self.modes.get(path, '100644')} inline {path}\ndata {len(content)}\n".encode()
                    + content
                    + b"\n"
                )
        git(repository, "fast-import", "--quiet", stdin=b"".join(stream))
        self.files = {}
        return git(repository, "rev-parse", branch)


def files_of(repository: Path, commit: str) -> list[str]:
    """All paths of a commit."""
    return git(repository, "ls-tree", "-r", "--name-only", commit).splitlines()


def read(repository: Path, commit: str, path: str) -> str:
    """A file of a commit."""
    return git(repository, "show", f"{commit}:{path}") + "\n"


def subjects(repository: Path, commit: str) -> list[str]:
    """The first lines of all messages, oldest first."""
    return git(repository, "log", "--reverse", "--format=%s", commit).splitlines()
