# SPDX-License-Identifier: GPL-3.0-or-later
"""A place where `farm bump` is called every day: a tree in git, its wagon, and where to ask upstream."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import zstandard
from farm_command import Farm, Ran

from farm.wagon.check import check_wagon
from farm.wagon.reading import open_wagon

GREET = """# who
name: greet
category: lib
version: "1.0"   # upstream's
labels:
  github.owner: "o"
  github.repo: greet
  autobump.revdeps: "true"
  package.version: 1.0
"""
META = """packages:
- {category: meta, name: one, version: 0.20201209, labels: {github.owner: o, github.repo: one}}
- category: meta   # the second
  name: two
  version: '3'
"""


class Site:
    """``tree`` is a git repository; ``wagon`` the folder of its wagon; ``forge`` the API's URL."""

    def __init__(self, farm: Farm, folder: Path, forge: str) -> None:
        self.farm = farm
        self.tree = farm.tree
        self.wagon = folder / "wagon"
        self.out = folder / "out"
        self.forge = forge
        if not (self.tree / ".git").exists():
            self.git("init", "-q", "-b", "main")

    def copy(self, folder: Path, forge: str) -> Site:
        """The same in another folder, as if all had been done there."""
        for part in (self.tree, self.farm.store, self.wagon, self.out):
            subprocess.run(["cp", "-a", str(part), str(folder / part.name)], check=True)
        farm = Farm(folder / self.tree.name, folder / self.farm.store.name, self.farm.root)
        return Site(farm, folder, forge)

    def spec(self, name: str, definition: str, build: str, *, kind: str = "definition") -> None:
        """Writes a spec's folder."""
        folder = self.tree / name
        folder.mkdir(parents=True)
        (folder / f"{kind}.yaml").write_text(definition)
        (folder / "build.yaml").write_text(build)

    def replace(self, file: str, old: str, new: str) -> None:
        """Changes a file of the tree."""
        text = (self.tree / file).read_text()
        assert old in text
        (self.tree / file).write_text(text.replace(old, new))

    def publish(self) -> None:
        """Commits and builds all of the tree, and makes (or makes anew) the wagon out of it, at revision 1."""
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "by hand")
        assert self.farm.build("--all", "--destination", str(self.out))["status"] == 0
        words = ["create", "-o", str(self.wagon), "--packages", str(self.out), "--name", "w", "--reset-revision"]
        ran = self._run(["wagon", *words])
        assert ran.status == 0, ran.err

    def command(self, *words: str, wagon: bool = True, json: bool = True) -> list[str]:
        """The words of a call."""
        given = ["--wagon", str(self.wagon)] if wagon else []
        return ["bump", "--forge", self.forge, "--plain", *given, *(["--json"] if json else []), *words]

    def call(self, *words: str, wagon: bool = True, json: bool = True, more: Sequence[str] = (), **env: str) -> Ran:
        """Calls the command."""
        return self._run([*self.command(*words, wagon=wagon, json=json), *more], **env)

    def farm_call(self, *words: str) -> Ran:
        """Calls another command."""
        return self._run(words)

    def bump(self, *words: str, wagon: bool = True, **env: str) -> dict[str, Any]:
        """What a call says as JSON; its status is the process's."""
        ran = self.call(*words, wagon=wagon, **env)
        assert ran.out, ran.err
        said: dict[str, Any] = ran.json()
        assert said["status"] == ran.status, ran.err
        return said

    def environ(self, **env: str) -> dict[str, str]:
        """The environment of a call."""
        who = {
            f"GIT_{w}_{k}": v for w in ("AUTHOR", "COMMITTER") for k, v in (("NAME", "n"), ("EMAIL", "e@example.org"))
        }
        known = {"HOME": str(self.farm.store.parent), "FARM_STORE": str(self.farm.store), "GIT_CONFIG_NOSYSTEM": "1"}
        return {**os.environ, **who, **known, **env}

    def files(self) -> dict[str, str]:
        """All files of the tree."""
        found = (path for path in self.tree.rglob("*") if path.is_file() and ".git" not in path.parts)
        return {str(path.relative_to(self.tree)): path.read_text() for path in found}

    def published(self) -> set[str]:
        """The packages that the wagon offers."""
        return {str(id) for id in open_wagon(self.wagon).packages}

    def revision(self) -> int:
        """The wagon's revision."""
        return open_wagon(self.wagon).repository.revision

    def sound(self) -> bool:
        """Whether every byte of the wagon is as it should be."""
        return not any(problem.severity == "error" for problem in check_wagon(self.wagon, [], signature=False).problems)

    def content(self, package: str, path: str) -> str:
        """A file in a package of the wagon."""
        atom, _, version = package.rpartition("-")
        category, _, name = atom.partition("/")
        archive = self.wagon / f"{name}-{category}-{version}.package.tar.zst"
        data = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(archive.read_bytes())).read()
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            member = tar.extractfile(path)
            assert member
            return member.read().decode()

    def git(self, *words: str) -> str:
        """Runs git in the tree."""
        done = subprocess.run(
            ["git", *words], cwd=self.tree, env=self.environ(), check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def dirty(self) -> str:
        """What git says is not committed."""
        return self.git("status", "--porcelain")

    def _run(self, words: Sequence[str], **env: str) -> Ran:
        done = subprocess.run(
            [sys.executable, "-m", "farm", *words],
            cwd=self.tree, env=self.environ(**env), capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert "Traceback" not in done.stderr, done.stderr
        return Ran(done.returncode, done.stdout, done.stderr)


def make_site(farm: Farm, folder: Path) -> Site:
    """A tree with lib/greet, app/greeter upon it, and a collection of two; all published."""
    site = Site(farm, folder, "")
    site.spec("lib/greet", GREET, "image: box\nsteps: [echo greet $PACKAGE_VERSION >/greet]\n")
    site.spec(
        "app/greeter",
        "name: greeter\ncategory: app\nversion: 2.0+3\n",
        'requires: [{category: lib, name: greet, version: ">=1"}]\nsteps: [cp /greet /greeter]\n',
    )
    build = "image: box\nsteps: [echo {{ .Values.name }} {{ .Values.version }} >/{{ .Values.name }}]\n"
    site.spec("meta", META, build, kind="collection")
    site.publish()
    return site
