# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm anise-build`` as a test calls it."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

from farm_command import Ran


@dataclasses.dataclass(frozen=True)
class AniseBuild:
    """A working directory with a store beside it, and the command line in it."""

    folder: Path

    @property
    def environ(self) -> dict[str, str]:
        """The environment of a call: the sandbox, unless the test says otherwise; nothing of the user's own."""
        own = {name: value for name, value in os.environ.items() if not name.startswith(("LUET_", "ANISE_", "FARM_"))}
        store = self.folder.parent / "store"
        return {**own, "HOME": str(self.folder.parent), "FARM_STORE": str(store), "FARM_RUNNER": "sandbox"}

    def __call__(self, *words: str, limit: float = 120, **env: str) -> Ran:
        """Calls a command."""
        return self.shell([sys.executable, "-m", "farm", "anise-build", *words], limit, **env)

    def shell(self, command: list[str], limit: float = 120, **env: str) -> Ran:
        """Runs any command in the working directory."""
        environ = {**self.environ, **env}
        done = subprocess.run(command, capture_output=True, text=True, cwd=self.folder, env=environ, timeout=limit)
        assert "Traceback" not in done.stderr, done.stderr
        return Ran(done.returncode, done.stdout, done.stderr)

    def package(self, name: str, build: str, version: str = "1.0", more: str = "") -> Path:
        """Writes a package's folder in the tree ``packages``."""
        category, _, short = name.partition("/")
        folder = self.folder / "packages" / category / f"{short}-{version}"
        folder.mkdir(parents=True)
        (folder / "definition.yaml").write_text(f"category: {category}\nname: {short}\nversion: '{version}'\n{more}")
        (folder / "build.yaml").write_text(build)
        return folder

    def names(self, folder: str) -> list[str]:
        """The names of the packages in a folder below the working directory."""
        return sorted(path.name for path in (self.folder / folder).glob("*.package.tar*"))
