#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packing and unpacking of a root against ``tar | zstd -T0``, measured in turn in the same run.

    python benchmarks/packing.py [--files 20000] [--source /usr] [--rounds 5]

The root is a copy of the first files of ``--source``. Prints the best time of each and the ratios.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from farm.plan.job import Pack
from farm.plan.node import Result
from farm.store.removal import remove_tree
from farm.store.store import Store
from farm.store.unpack import unpack

LIMIT = 1.3
Spent = tuple[float, float]


def main() -> None:
    """Measures, prints, and exits with 1 when a ratio is over the limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--source", type=Path, default=Path("/usr"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=Path("/var/tmp"))
    options = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="farm-packing-", dir=options.folder))
    try:
        with Store(work / "store") as store:
            ratios = measure(store, work, options)
    finally:
        remove_tree(work)
    raise SystemExit(any(ratio > LIMIT for ratio in ratios))


def measure(store: Store, work: Path, options: argparse.Namespace) -> list[float]:
    """Ratios of packing and of unpacking."""
    with store.scratch("root") as folder:
        count, size = copy_files(options.source, folder / "u", options.files)
        layer = store.commit_layer(folder / "u", []).digest
    print(f"root: {count} entries, {size / 1e6:.0f} MB")
    fs, archive = store.layer_path(layer), work / "root.tar.zst"
    ours = Pack((layer,), "root")
    made: list[Path] = []
    pack = in_turn(
        options.rounds,
        lambda: forget(made),
        lambda: made.append(store.blob_path(store.pack(ours).digest)),
        lambda: shell(f"tar -C {fs} --sort=name --numeric-owner -cf - . | zstd -q -T0 -f -o {archive}"),
    )
    unpacked = in_turn(
        options.rounds,
        lambda: [fresh(work / name) for name in ("ours", "theirs")],
        lambda: unpack(archive, work / "ours"),
        lambda: shell(f"zstd -q -dc {archive} | tar -C {work}/theirs -xf -"),
    )
    show("pack", *pack)
    show("unpack", *unpacked)
    trivial(store, layer)
    return [pack[0][0] / pack[1][0], unpacked[0][0] / unpacked[1][0]]


def in_turn(rounds: int, before: Callable[[], object], *what: Callable[[], object]) -> list[Spent]:
    """The best wall and CPU time of each in seconds; ``before`` is run before each round, and not timed."""
    best = [(float("inf"), float("inf"))] * len(what)
    for _ in range(rounds):
        before()
        for number, action in enumerate(what):
            os.sync()
            start, cpu = time.perf_counter(), cpu_time()
            action()
            spent = time.perf_counter() - start, cpu_time() - cpu
            best[number] = min(best[number][0], spent[0]), min(best[number][1], spent[1])
    return best


def cpu_time() -> float:
    """CPU seconds of this process and of all it waited for."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def trivial(store: Store, base: str, rounds: int = 200) -> None:
    """What the store costs a job that makes one small file."""
    spent = 0.0
    for number in range(rounds):
        with store.scratch() as folder:
            (folder / "u/opt").mkdir(parents=True)
            (folder / "u/opt/file").write_text(f"{os.getpid()} {number}")
            start = time.perf_counter()
            layer = store.commit_layer(folder / "u", [store.layer_path(base)]).digest
            package = store.pack(Pack((base, layer), "delta"))
            store.record(package.digest, {}, Result(layer=layer, package=package.digest))
            spent += time.perf_counter() - start
    print(f"trivial job: commit + pack + record {spent / rounds * 1000:.2f} ms")


def copy_files(source: Path, target: Path, limit: int) -> tuple[int, int]:
    """Copies up to ``limit`` entries; returns their number and bytes."""
    count = size = 0
    for folder, names, files in os.walk(source):
        names.sort()
        inner = target / Path(folder).relative_to(source)
        inner.mkdir(parents=True, exist_ok=True)
        for name in sorted(files):
            path = Path(folder) / name
            if not (path.is_symlink() or path.is_file()) or path.lstat().st_size > 2_000_000:
                continue
            shutil.copy2(path, inner / name, follow_symlinks=False)
            count, size = count + 1, size + path.lstat().st_size
            if count >= limit:
                return count, size
    return count, size


def forget(blobs: list[Path]) -> None:
    """Deletes blobs, so that they are written again."""
    for path in blobs:
        path.unlink(missing_ok=True)


def fresh(path: Path) -> Path:
    """An empty folder."""
    remove_tree(path)
    path.mkdir()
    return path


def shell(command: str) -> None:
    """Runs it."""
    subprocess.run(command, shell=True, check=True)


def show(name: str, ours: Spent, theirs: Spent) -> None:
    """One line."""
    walls = f"farm {ours[0]:.3f} s, tar and zstd {theirs[0]:.3f} s, ratio {ours[0] / theirs[0]:.2f}"
    print(f"{name}: {walls} (CPU {ours[1]:.2f} s and {theirs[1]:.2f} s, ratio {ours[1] / theirs[1]:.2f})")


if __name__ == "__main__":
    main()
