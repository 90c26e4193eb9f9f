# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line as a test calls it."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ran import Ran


@dataclasses.dataclass(frozen=True)
class Farm:
    """A tree, a store, and the command line on them."""

    tree: Path
    store: Path
    root: Path

    def command(self, *words: str) -> list[str]:
        """The command line that calls the farm with its store."""
        return [sys.executable, "-m", "farm", words[0], "--store", str(self.store), *words[1:]]

    def run(self, *words: str, limit: float = 120, **env: str) -> Ran:
        """Calls a command, for ``limit`` seconds at most; ``--store`` is added."""
        environ = {**os.environ, "HOME": str(self.store.parent), **env}
        done = subprocess.run(
            self.command(*words), capture_output=True, text=True, cwd=self.tree, env=environ, timeout=limit
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Ran(done.returncode, done.stdout, done.stderr)

    def build(self, *words: str, limit: float = 120, **env: str) -> dict[str, Any]:
        """Builds with ``--json``: the summary, with its status under ``status``."""
        ran = self.run("build", "--json", *words, limit=limit, **env)
        return {**ran.lines()[-1], "status": ran.status}

    @contextlib.contextmanager
    def building(self, *words: str, until: str) -> Iterator[subprocess.Popen[str]]:
        """A build in the background in which node ``until`` runs; it is over at the end of the block."""
        command = self.command("build", "--json", *words)
        with subprocess.Popen(command, cwd=self.tree, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            for line in process.stdout:
                if json.loads(line).get("node") == until:
                    break
            yield process

    def package(self, name: str, build: str | None, version: str = "1.0", **keys: Any) -> Path:
        """Writes a package's folder, or writes it anew."""
        category, _, short = name.partition("/")
        folder = self.tree / category / short
        folder.mkdir(parents=True, exist_ok=True)
        definition = {"category": category, "name": short, "version": version, **keys}
        (folder / "definition.yaml").write_text(json.dumps(definition))
        if build is not None:
            (folder / "build.yaml").write_text(build)
        return folder
