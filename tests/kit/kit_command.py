# SPDX-License-Identifier: GPL-3.0-or-later
"""A git server, a forge, specifications, and ``farm kit`` as a test calls it."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest import mock

from forge_server import ForgeServer
from git_server import TOKEN, GitServer
from ran import Ran


def merge_spec(*atoms: str, more: str = "") -> str:
    """A specification that takes packages of core-kit's ``testing`` into app-kit's ``mark-xl``."""
    head = "sources:\n- {name: core-kit, url: URL(core-kit), branch: testing}\ntarget:\n  name: app-kit\n"
    listed = "".join(f"  - {atom if atom.startswith('{') else f'pkg: {atom}'}\n" for atom in atoms)
    return f"{head}  url: URL(app-kit)\n  branch: mark-xl\n{more}  atoms:\n{listed}"


@dataclasses.dataclass
class World:
    """Everything a run of the bot touches."""

    folder: Path
    git: GitServer
    forge: ForgeServer

    def url(self, name: str) -> str:
        """The URL of a kit on the git server."""
        return f"{self.git.url}/{self.forge.owner}/{name}.git"

    def create(self, name: str) -> Path:
        """Makes a kit's repository."""
        return self.git.create(f"{self.forge.owner}/{name}")

    def kit(self, name: str) -> Path:
        """A kit's repository on the server."""
        return self.git.root / self.forge.owner / f"{name}.git"

    def branches(self, name: str) -> dict[str, str]:
        """A kit's branches."""
        return self.git.branches(f"{self.forge.owner}/{name}")

    def spec(self, name: str, text: str) -> Path:
        """Writes a specification; ``URL(kit)`` in it becomes a URL."""
        import re

        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(re.sub(r"URL\(([\w.-]+)\)", lambda m: self.url(m[1]), text))
        return file

    def secret(self, name: str, text: str) -> Path:
        """Writes a file that nobody else may read."""
        file = self.spec(name, text)
        file.chmod(0o600)
        return file

    def command(self, *words: object) -> list[str]:
        """The command line."""
        return [sys.executable, "-m", "farm", *map(str, words)]

    def environment(self, **more: str) -> dict[str, str]:
        """A clean environment with the token."""
        home = {"HOME": str(self.folder), "PATH": os.environ["PATH"], "XDG_CACHE_HOME": str(self.folder / "cache")}
        return {**home, "GITHUB_TOKEN": TOKEN, "GITLAB_TOKEN": TOKEN, "FORGEJO_TOKEN": TOKEN, **more}

    def run(self, *words: object, limit: float = 240, **env: str) -> Ran:
        """Calls the farm in the world's folder, as a program of its own."""
        done = subprocess.run(
            self.command(*words),
            capture_output=True,
            text=True,
            cwd=self.folder,
            env=self.environment(**env),
            timeout=limit,
        )
        return _checked(Ran(done.returncode, done.stdout, done.stderr))

    def call(self, *words: object, **env: str) -> Ran:
        """The same in this process, which saves the start of the program."""
        from farm.cli.main import main

        out, err = io.StringIO(), io.StringIO()
        status = 0
        before = Path.cwd()
        with (
            mock.patch.dict(os.environ, self.environment(**env), clear=True),
            mock.patch.object(sys, "argv", ["farm", *map(str, words)]),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            os.chdir(self.folder)
            try:
                main()
            except SystemExit as end:
                status = int(end.code or 0)
            finally:
                os.chdir(before)
        return _checked(Ran(status, out.getvalue(), err.getvalue()))

    def kit_run(self, command: str, spec: Path, *words: object, **env: str) -> tuple[Ran, dict[str, Any]]:
        """``farm kit COMMAND --specfile SPEC --json …`` and its document ({} when there is none)."""
        ran = self.call("kit", command, "--specfile", spec, "--json", *self.forge_words(), *words, **env)
        return ran, json.loads(ran.out) if ran.out.startswith("{") else {}

    def forge_words(self) -> list[str]:
        """Options that point to the stand-in."""
        return ["--forge", self.forge.kind, "--forge-api", self.forge.api]


def _checked(ran: Ran) -> Ran:
    """No traceback, and no token anywhere."""
    assert "Traceback" not in ran.err, ran.err
    assert TOKEN not in ran.out + ran.err
    return ran
