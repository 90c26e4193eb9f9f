#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stage tarballs against ``tar | xz -T0`` and ``tar | zstd -T0`` of the same tree and level, in turn in the same run.

    python benchmarks/stage_output.py [--source /usr/lib] [--files 5000] [--rounds 3]

The root is a layer made of the first files of ``--source``. Prints CPU and wall seconds, sizes, and the ratios.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from farm.plan.job import Work
from farm.stage.makers import Archive
from farm.stage.outputs import ARCHIVE
from farm.store.removal import remove_tree
from farm.store.store import Store

KINDS = {"xz": ("xz", 6, "xz -6 -T0"), "zstd": ("zstd", 9, "zstd -9 -T0 -q")}


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, default=Path("/usr/lib"))
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path("/var/tmp"))
    options = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="farm-stage-output-", dir=options.folder))
    try:
        measure(options, work)
    finally:
        remove_tree(work)


def measure(options: argparse.Namespace, work: Path) -> None:
    """All kinds, each as often as asked for; the best of each counts."""
    root = work / "root"
    size = copy_files(options.source, root, options.files)
    print(f"{options.files} files at the most, {size / 1e6:.0f} MB")
    shutil.copytree(root, work / "fs", symlinks=True)
    with Store(work / "store") as store:
        with store.scratch("root") as scratch:
            (work / "fs").rename(scratch / "fs")
            layer = store.commit_layer(scratch / "fs", ()).digest
        for name, (compression, level, program) in KINDS.items():
            ours = [spent(partial(archive, store, layer, compression, level)) for _ in range(options.rounds)]
            theirs = [spent(partial(reference, root, work / "out", program)) for _ in range(options.rounds)]
            report(name, min(ours), min(theirs))


def copy_files(source: Path, root: Path, most: int) -> int:
    """Copies regular files; their bytes."""
    total = count = 0
    for path in sorted(source.rglob("*")):
        if count >= most:
            break
        if path.is_file() and not path.is_symlink():
            target = root / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target)
            total, count = total + path.stat().st_size, count + 1
    return total


def archive(store: Store, layer: str, compression: str, level: int) -> int:
    """Makes the output as a stage does; its size."""
    settings = (("epoch", "1700000000"), ("excludes", "[]"), ("compression", compression), ("level", str(level)))
    work = Work(ARCHIVE, (layer,), settings=settings)
    return Archive().make(work, store, Path(os.devnull), threading.Event()).size


def reference(root: Path, out: Path, program: str) -> int:
    """What a person would type; its size."""
    tar = f"tar --xattrs --numeric-owner --sort=name -C {root} -cf - . | {program} >{out} && sync {out}"
    subprocess.run(["/bin/sh", "-c", tar], check=True)
    return out.stat().st_size


def spent(work: Callable[[], int]) -> tuple[float, float, int]:
    """CPU seconds (children too), wall seconds, and what the work gave."""
    before, began = cpu(), time.monotonic()
    size = work()
    return cpu() - before, time.monotonic() - began, size


def cpu() -> float:
    """CPU seconds of this process and its children."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def report(name: str, ours: tuple[float, float, int], theirs: tuple[float, float, int]) -> None:
    """One line."""
    print(
        f"{name}: cpu {ours[0]:.2f} s against {theirs[0]:.2f} s ({ours[0] / theirs[0]:.2f} x), "
        f"wall {ours[1]:.2f} s against {theirs[1]:.2f} s ({ours[1] / theirs[1]:.2f} x), "
        f"size {ours[2]} against {theirs[2]} ({ours[2] / theirs[2]:.3f} x)"
    )


if __name__ == "__main__":
    main()
