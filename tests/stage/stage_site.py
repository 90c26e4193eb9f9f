# SPDX-License-Identifier: GPL-3.0-or-later
"""A folder with a spec tree, stage files, a store and a layout, and the command line on them."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ran import Ran

BASE = "image: base\npackage_dir: /out\n"


class Built(Ran):
    """How a build ended, with its events."""

    def summary(self) -> dict[str, Any]:
        """The last line of a build's events."""
        return self.lines()[-1]

    def events(self, kind: str) -> list[dict[str, Any]]:
        """The events of a kind."""
        return [line for line in self.lines() if line.get("event") == kind]

    def made(self) -> list[str]:
        """Nodes that were made and not found."""
        return [event["node"] for event in self.events("node-finished") if event["status"] == "ok"]


@dataclasses.dataclass(frozen=True)
class Site:
    """All of a farm that makes stages, in one folder. ``seed`` is a root tarball with a shell."""

    root: Path
    seed: Path

    @property
    def seed_text(self) -> str:
        """The seed as a stage file has it."""
        digest = hashlib.sha256(self.seed.read_bytes()).hexdigest()
        return f"{{url: {self.seed}, sha256: {digest}}}"

    @contextlib.contextmanager
    def host_untouched(self) -> Iterator[None]:
        """/dev is the same before and after, and so are the mounts: what others do meanwhile does not count."""
        before = self._host()
        yield
        assert self._host() == before

    def _host(self) -> tuple[list[tuple[str, int]], list[str]]:
        """Devices, but those that are made when somebody needs one; mounts near the host's root and on this folder."""
        nodes = [(entry.name, entry.stat(follow_symlinks=False).st_mode) for entry in os.scandir("/dev")]
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
        mounts = [line for line in lines if line.split()[4].count("/") <= 2 or str(self.root) in line]
        return sorted(node for node in nodes if not re.fullmatch("loop[0-9]+", node[0])), mounts

    @property
    def out(self) -> Path:
        """The layout."""
        return self.root / "out"

    @property
    def folder(self) -> Path:
        """Where releases of `stage` are."""
        return self.out / "test" / "x86-64bit" / "generic_64"

    def run(self, *words: str, limit: float = 120, store: str = "store", **env: str) -> Built:
        """Calls ``farm stage``; the folders of this site are added as the command needs them."""
        done = subprocess.run(
            self.command(*words, store=store),
            capture_output=True,
            text=True,
            cwd=self.root,
            env=self.env(env),
            timeout=limit,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Built(done.returncode, done.stdout, done.stderr)

    def command(self, *words: str, store: str = "store") -> list[str]:
        """The command line of a call."""
        more = ["--output", str(self.out)]
        if words[0] in ("build", "show", "shell"):
            more += ["--store", str(self.root / store)]
        return [sys.executable, "-m", "farm", "stage", words[0], *more, *words[1:]]

    def env(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """The environment of a call."""
        return {**os.environ, "HOME": str(self.root), **(more or {})}

    def build(self, *words: str, store: str = "store", **env: str) -> Built:
        """``farm stage build --json``."""
        return self.run("build", "--json", *words, store=store, **env)

    @contextlib.contextmanager
    def building(self, *words: str, until: str) -> Iterator[subprocess.Popen[str]]:
        """A build in the background in which node ``until`` has begun."""
        command = self.command("build", "--json", *words)
        with subprocess.Popen(command, cwd=self.root, stdout=subprocess.PIPE, text=True, env=self.env()) as process:
            assert process.stdout
            for line in process.stdout:
                event = json.loads(line)
                if event.get("event") == "node-started" and event.get("node") == until:
                    break
            yield process

    def kill(self, *words: str, at: str) -> None:
        """Begins a build and kills it as soon as node ``at`` has begun."""
        with self.building(*words, until=at) as process:
            process.send_signal(signal.SIGKILL)

    def package(self, name: str, build: str, version: str = "1.0", **keys: Any) -> Path:
        """Writes a package's folder."""
        category, _, short = name.partition("/")
        folder = self.root / "tree" / category / short
        folder.mkdir(parents=True, exist_ok=True)
        definition = {"category": category, "name": short, "version": version, **keys}
        (folder / "definition.yaml").write_text(json.dumps(definition))
        (folder / "build.yaml").write_text(build)
        return folder

    def stage(self, name: str, **keys: Any) -> Path:
        """Writes a stage file: JSON is YAML. Its seed is the tarball, and its output ``tar.zst``, unless told."""
        (self.root / "tree").mkdir(exist_ok=True)
        document = {
            "release": {"build": "test", "subarch": "generic_64"},
            "platform": "linux/amd64",
            "trees": ["../tree"],
            "seed": {"url": str(self.seed), "sha256": hashlib.sha256(self.seed.read_bytes()).hexdigest()},
            "image": "base",
            "outputs": ["tar.zst"],
            **keys,
        }
        return self.write(name, json.dumps({key: value for key, value in document.items() if value is not None}))

    def write(self, name: str, text: str) -> Path:
        """Writes a stage file as it is."""
        file = self.root / "stages" / f"{name}.yaml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        return file

    def tarball(self, target: str, end: str = ".tar.zst") -> Path:
        """The newest tarball of a target, where it really lies."""
        return (self.folder / f"{target}-latest{end}").resolve(strict=True)
