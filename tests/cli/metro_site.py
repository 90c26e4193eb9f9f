# SPDX-License-Identifier: GPL-3.0-or-later
"""A folder as a user of metro has it: job files, hooks, a configuration, and a web server with what they name."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import gzip
import http.server
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import zstandard
from farm_command import Ran

from farm.spec.load import load
from farm.wagon.create import Request, create_wagon

DATA = Path(__file__).parent.parent / "data/metro"
DATE = "2026-11-27"
EPOCH = "1795780800"
"""Noon of `DATE`."""


@dataclasses.dataclass(frozen=True)
class Site:
    """``folder`` is the working directory, ``web`` what the server shows, ``asked`` what it was asked for."""

    folder: Path
    web: Path
    store: Path
    base: str
    asked: list[str]
    end: str

    def command(self, *words: str) -> list[str]:
        """A command line of the farm."""
        return [sys.executable, "-m", "farm", *words]

    def environ(self, **env: str) -> dict[str, str]:
        """The environment of a call. What is compiled is kept for the next call."""
        own = {"FARM_STORE": str(self.store), "SOURCE_DATE_EPOCH": EPOCH, "PYTHONDONTWRITEBYTECODE": ""}
        return {**os.environ, **own, "PYTHONPYCACHEPREFIX": str(self.folder.parents[2] / "pycache"), **env}

    def farm(self, *words: str, limit: float = 240, **env: str) -> Ran:
        """Calls the farm in the folder."""
        done = subprocess.run(
            self.command(*words),
            capture_output=True,
            text=True,
            cwd=self.folder,
            env=self.environ(**env),
            timeout=limit,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Ran(done.returncode, done.stdout, done.stderr)

    def run(self, job: str, *words: str, limit: float = 240, **env: str) -> Ran:
        """Runs a job as mark-devkit's command line has it."""
        return self.farm("metro", "run", "--specfile", "jobs/stage3.yaml", "--job", job, *words, limit=limit, **env)

    def summary(self, job: str, *words: str, **env: str) -> dict[str, Any]:
        """Runs a job with its hooks: the summary, and the status under ``status``."""
        ran = self.run(job, "--allow-host-hooks", "--json", *words, **env)
        return {**ran.lines()[-1], "status": ran.status, "ran": ran}

    def tarball(self, job: str) -> Path:
        """Where the tarball of a job of the sample comes to lie."""
        extras = {"stage3-http": "terra+next", "stage3-anise": "anise"}[job]
        folder = self.folder / f"output/1.4/x86-64bit/generic/{DATE}"
        return folder / f"stage3-x86-64bit-generic_64-1.4+{extras}-{DATE}{self.end}"

    def hook(self, file: str, text: str) -> None:
        """Writes a hooks file in the place of one."""
        (self.folder / "hooks" / file).write_text(text)

    def add_hook(self, file: str, text: str) -> None:
        """Adds a hook to a hooks file."""
        path = self.folder / "hooks" / file
        path.write_text(path.read_text() + text)


def read(tarball: Path, *names: str) -> dict[str, bytes]:
    """Files of a tarball by name."""
    with tarfile.open(tarball) as tar:
        found = {name: tar.extractfile(name) for name in names}
        return {name: file.read() for name, file in found.items() if file}


@contextlib.contextmanager
def serving(root: Path, busybox: Path, end: str = ".tar.gz") -> Iterator[Site]:
    """A site below ``root``; ``busybox`` is the seed's tarball; output names end in ``end``."""
    folder, web = root / "site", root / "web"
    shutil.copytree(DATA, folder)
    seed = web / "1.4/x86-64bit/stage3-latest.tar.gz"
    seed.parent.mkdir(parents=True)
    seed.write_bytes(gzip.compress(busybox.read_bytes(), 1, mtime=0))
    distfiles = folder / "workspace/distfiles"
    distfiles.mkdir(parents=True)
    (distfiles / "source-1.0").write_text("source\n")
    asked: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            super().do_GET()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    made = functools.partial(Handler, directory=str(web))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), made) as server:
        base = f"http://127.0.0.1:{server.server_port}"
        for path in (folder / "jobs/stage3.yaml", folder / "anise/config.yaml"):
            path.write_text(path.read_text().replace("@BASE@", base).replace(".tar.xz", end))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield Site(folder, web, root / "store", base, asked, end)
        finally:
            server.shutdown()
            thread.join()


def publish_wagons(site: Site, busybox: Path) -> None:
    """The wagons of the anise job: ``wagon`` with a shell and a repository's configuration, ``extra`` with a tool."""
    shell = zstandard.compress(busybox.read_bytes())
    extra = f'name: extra\ntype: http\nenable: true\ncached: true\npriority: 2\nurls: ["{site.base}/extra"]\n'
    main = {
        "sys/base": (shell, ()),
        "app/hello": (_package({"usr/bin/hello": "hello"}), ("sys/base",)),
        "repository/extra": (_package({"etc/luet/repos.conf.d/extra.yaml": extra}), ()),
    }
    tool = _package({"usr/bin/tool": "tool", "usr/share/doc/tool/README": "read me"})
    _wagon(site.web, "wagon", main)
    _wagon(site.web, "extra", {"app/tool": (tool, ())})


def _wagon(web: Path, name: str, packages: dict[str, tuple[bytes, tuple[str, ...]]]) -> None:
    work = web.parent / f"{name}-work"
    (work / "packages").mkdir(parents=True)
    for package, (content, needs) in packages.items():
        category, _, short = package.partition("/")
        definition = {
            "category": category,
            "name": short,
            "version": "1.0",
            "requires": [_requirement(n) for n in needs],
        }
        place = work / "tree" / package
        place.mkdir(parents=True)
        (place / "definition.yaml").write_text(json.dumps(definition))
        (work / "packages" / f"{short}-{category}-1.0.package.tar.zst").write_bytes(content)
    create_wagon(Request(load([work / "tree"]), name=name, packages=work / "packages", output=web / name))


def _requirement(name: str) -> dict[str, str]:
    category, _, short = name.partition("/")
    return {"category": category, "name": short, "version": ">=0"}


def _package(files: dict[str, str]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path, text in files.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(text.encode()), 0o755 if "bin/" in path else 0o644
            tar.addfile(entry, io.BytesIO(text.encode()))
    return zstandard.compress(out.getvalue())
