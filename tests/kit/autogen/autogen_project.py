# SPDX-License-Identifier: GPL-3.0-or-later
"""A specification, its templates, the services it asks, and the command line."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import autogen_services as stand_ins
import yaml
from click.testing import CliRunner
from ran import Ran

from farm.cli.main import cli
from farm.spec.problem import FarmError

TEMPLATE = """\
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="{{ .Values.desc }}"
HOMEPAGE="{{ .Values.homepage }}"
SRC_URI="
{{- range .Values.artefacts }}
\t{{ if .Use }}{{ .Use }}? ( {{ end }}{{ first .SrcUri }} -> {{ .Name }}{{ if .Use }} ){{ end }}
{{- end }}
"

LICENSE="{{ .Values.license | default "GPL-3" }}"
SLOT="{{ .Values.slot | default 0 }}"
KEYWORDS="*"
{{- with .Values.py_depend }}
DEPEND="{{ . }}"
{{- end }}
"""


@dataclasses.dataclass
class Project:
    """A folder with a specification, and services; ``run`` calls ``farm kit autogen`` on it."""

    root: Path
    services: stand_ins.Services
    target: dict[str, Any] = dataclasses.field(
        default_factory=lambda: {"name": "my-kit", "url": "https://example.org/my-kit", "branch": "main"}
    )
    env: dict[str, str] = dataclasses.field(default_factory=dict)
    store: Path | None = None

    def write(self, name: str, text: str, mode: int = 0o644) -> Path:
        file = self.root / "specs" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)
        return file

    def spec(self, data: dict[str, Any] | str) -> None:
        self.write("spec.yml", data if isinstance(data, str) else yaml.safe_dump(data, sort_keys=False))
        self.write("templates/t.tmpl", TEMPLATE)

    def environment(self) -> dict[str, str]:
        base = self.services.base
        own = {"FARM_GITHUB_API": f"{base}/api", "FARM_GITHUB": base, "FARM_PYPI": base,
               "FARM_GOPROXY": f"{base}/goproxy", "FARM_CRATES": f"{base}/crates"}  # fmt: skip
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("FARM_", "GITHUB_", "MINIO_"))}
        return {**kept, "HOME": str(self.root), **own, **self.env}

    def words(self, *words: str) -> list[str]:
        """The command's words behind ``farm``."""
        kitfile = self.write("kit.yml", yaml.safe_dump({"target": self.target}))
        common = ["--specfile", str(self.root / "specs/spec.yml"), "--kitfile", str(kitfile)]
        return [
            "kit",
            "autogen",
            *common,
            "--to",
            str(self.root / "work"),
            "--store",
            str(self.store or self.root / "store"),
            *words,
        ]

    def command(self, *words: str) -> list[str]:
        """The command line, for a process of its own."""
        return [sys.executable, "-m", "farm", *self.words(*words)]

    def run(self, *words: str, limit: float = 120) -> Ran:
        """Runs it as a process."""
        done = subprocess.run(
            self.command(*words), capture_output=True, text=True, cwd=self.root, env=self.environment(), timeout=limit
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Ran(done.returncode, done.stdout, done.stderr)

    def call(self, *words: str) -> Ran:
        """Calls the command in this process, which spares a second of imports."""
        unset = {key: None for key in os.environ if key.startswith(("FARM_", "GITHUB_", "MINIO_"))}
        done = CliRunner().invoke(cli, self.words(*words), env={**unset, **self.environment()})
        if isinstance(done.exception, FarmError):
            return Ran(1, done.stdout, str(done.exception))
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return Ran(done.exit_code, done.stdout, done.stderr)

    def thin(self, *words: str) -> dict[str, Any]:
        """A thin run with ``--json``: its report, with its status."""
        ran = self.call("--thin", "--json", *words)
        assert ran.out, ran.err
        return {**ran.json(), "status": ran.status}

    def made(self, path: str) -> Path:
        """A file of the kit that a thin run wrote."""
        return self.root / "work/sources/my-kit" / path

    def ebuild(self, path: str) -> str:
        return self.made(path).read_text()
