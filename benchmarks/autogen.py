# SPDX-License-Identifier: GPL-3.0-or-later
"""What autogen costs beside the bytes it handles: against curl and checksums of the same files.

Usage: ``python benchmarks/autogen.py [packages] [bytes]``. Each of 200 packages has a distfile of 1 MB on a server on
loopback. The measure is ``curl`` of all of them (as many at a time as autogen has packages), then ``b2sum`` and
``sha512sum``. Prints wall and CPU seconds of both, the ratios, and those of a second run, which downloads nothing.
"""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

CONCURRENCY = 4
TEMPLATE = """\
EAPI=8
DESCRIPTION="{{ .Values.desc }}"
SRC_URI="{{ .Values.src_uri }}"
SLOT="0"
KEYWORDS="*"
"""


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The folder's files over HTTP, in a process of its own, so that its CPU time is nobody's here."""
    command = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout
        port = server.stdout.readline().split("port ")[1].split()[0]
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


def measured(work: Callable[[], None]) -> tuple[float, float]:
    """Wall and CPU seconds of the processes that ``work`` starts."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    work()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - began, cpu


def write_project(root: Path, base: str, packages: int) -> None:
    """A specification whose packages are all different."""
    (root / "t.tmpl").write_text(TEMPLATE)
    (root / "kit.yml").write_text("target: {name: kit, url: 'https://example.org/kit', branch: main}\n")
    lines = ["all:", "  generator: builtin-noop", "  defaults: {category: app-misc, template: t.tmpl}", "  packages:"]
    for number in range(packages):
        asset = f"{{name: 'f{number}.bin', url: '{base}/f{number}.bin'}}"
        lines.append(f"  - p{number}: {{vars: {{versions: ['1.{number}'], desc: x}}, assets: [{asset}]}}")
    (root / "spec.yml").write_text("\n".join(lines) + "\n")


def main() -> None:
    """Measures, and prints."""
    given = [int(word) for word in sys.argv[1:3]]
    packages, size = [*given, *(200, 1_000_000)[len(given) :]]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        files = root / "files"
        files.mkdir()
        for number in range(packages):
            (files / f"f{number}.bin").write_bytes(os.urandom(size))
        with serving(files) as base:
            write_project(root, base, packages)
            command = [sys.executable, "-m", "farm", "kit", "autogen-thin", "--specfile", "spec.yml", "-k", "kit.yml",
                       "--store", "store", "--to", "work", "--concurrency", str(CONCURRENCY)]  # fmt: skip
            urls = "".join(
                f'url = "{base}/f{number}.bin"\noutput = "curl/f{number}.bin"\n' for number in range(packages)
            )
            (root / "curl").mkdir()

            def plain() -> None:
                curl = ["curl", "-s", "--parallel", "--parallel-max", str(CONCURRENCY), "-K", "-"]
                subprocess.run(curl, input=urls, text=True, cwd=root, check=True)
                for program in ("b2sum", "sha512sum"):
                    names = [f"curl/f{number}.bin" for number in range(packages)]
                    subprocess.run([program, *names], cwd=root, check=True, stdout=subprocess.DEVNULL)

            def autogen() -> None:
                subprocess.run(command, cwd=root, check=True, stdout=subprocess.DEVNULL)

            results = {"curl + b2sum + sha512sum": measured(plain), "autogen, first run": measured(autogen),
                       "autogen, second run": measured(autogen)}  # fmt: skip
    wall, cpu = results["curl + b2sum + sha512sum"]
    print(f"{packages} packages of {size} bytes, {CONCURRENCY} at a time")
    for name, (seconds, used) in results.items():
        print(
            f"{name:26} {seconds:7.2f} s wall {used:7.2f} s CPU   {seconds / wall:5.2f} x wall {used / cpu:5.2f} x CPU"
        )


if __name__ == "__main__":
    main()
