# SPDX-License-Identifier: GPL-3.0-or-later
"""What the small set for boards costs when it is cross built, emulated, and emulated with native compilers.

Usage (as root, on a quiet machine, after ci/host-setup --arm):
``python benchmarks/platforms.py [--platform linux/arm64] [--store DIR] [--whole | PACKAGE…]``. One job at a time.

Without a PACKAGE (of specs/mfs-arm) it is a part of musl; with --whole the whole set, which takes nearly an hour
of a core when it is emulated. Seeds (the foreign one takes ten minutes) and native compilers are not counted. Prints
CPU and wall seconds of each package's job for each way, and the ratios to the cross build. With a store that is kept,
what was measured before is told again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_TOP = Path(__file__).resolve().parent.parent
WHOLE = ("mfs/linux-headers", "mfs/musl", "mfs/make", "mfs/busybox")
PART = ("bench/musl-part",)
TREES = (_TOP / "specs" / "mfs-arm", _TOP / "benchmarks" / "boards")
WAYS = {"cross": (), "mixed": ("--no-cross",), "emulated": ("--no-cross", "--no-accelerator")}
"""What the command line says for each way."""


def build(store: str, *words: str) -> Iterator[dict[str, Any]]:
    """The events of a build; the program ends when it fails."""
    trees = [word for tree in TREES for word in ("--tree", str(tree))]
    command = [sys.executable, "-m", "farm", "build", "--json", "-j", "1", "--store", store, *trees]
    done = subprocess.run([*command, *words], stdout=subprocess.PIPE, cwd=_TOP)
    if done.returncode:
        sys.exit(f"cannot build {' '.join(words)}: see `farm status --store {store}`")
    yield from map(json.loads, done.stdout.splitlines())


def measure(store: str, packages: tuple[str, ...], platform: str, way: str) -> dict[str, tuple[float, float]]:
    """CPU and wall seconds of each package's job."""
    found = {}
    for event in build(store, *packages, "--platform", platform, *WAYS[way]):
        name, at, _ = event.get("node", "").partition("@")
        result = event.get("result") or {}
        if event["event"] == "node-finished" and at and ":" not in event["node"] and result.get("cpu"):
            found[name.rpartition("-")[0]] = (result["cpu"], result["wall"])
    return found


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--platform", default="linux/arm64", choices=("linux/arm64", "linux/arm/v7"))
    parser.add_argument("--store")
    parser.add_argument("--whole", action="store_true")
    parser.add_argument("packages", nargs="*", metavar="PACKAGE")
    given = parser.parse_args()
    packages = tuple(given.packages) or (WHOLE if given.whole else PART)
    with tempfile.TemporaryDirectory(prefix="farm-bench", dir="/var/tmp") as folder:
        store = given.store or folder
        compiler = f"native/gcc-{given.platform.removeprefix('linux/').replace('/', '-')}"
        list(build(store, compiler))
        times = {way: measure(store, packages, given.platform, way) for way in WAYS}
    show({way: {name: found[name] for name in packages if name in found} for way, found in times.items()})


def show(times: dict[str, dict[str, tuple[float, float]]]) -> None:
    """A line for each package and one for all."""
    names = list(times["cross"])
    print(f"{'':20}" + "".join(f"{way:>30}" for way in times))
    for name in [*names, "all"]:
        chosen = names if name == "all" else [name]
        cells = []
        for found in times.values():
            cpu, wall = (sum(found[one][place] for one in chosen) for place in (0, 1))
            base = sum(times["cross"][one][0] for one in chosen)
            cells.append(f"{cpu:8.1f} s CPU {wall:7.1f} s x{cpu / base:4.1f}".rjust(30))
        print(f"{name:20}" + "".join(cells))


if __name__ == "__main__":
    main()
