# SPDX-License-Identifier: GPL-3.0-or-later
"""Installs packages into an empty root, and unpacks the same files with GNU tar, in turns: prints the ratio.

``tar (one by one)`` is what an installer by script does: ``tar --zstd -xf`` for each package. ``tar (one archive)``
has all files in a single archive that is not compressed, which no package manager could use. ``upgrade`` replaces
every file.

    python benchmarks/install.py [--packages 500] [--files 150] [--rounds 3] [--folder /var/tmp]
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import io
import json
import os
import random
import resource
import statistics
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from farm.client.change import Candidate, Change
from farm.client.config import ClientConfig, RepositoryConfig
from farm.client.database import Database
from farm.client.transaction.apply import Options, apply
from farm.spec.model import PackageId
from farm.store.compress import compressor
from farm.wagon.metadata import Metadata
from farm.wagon.reading import Entry

_MEAN = 8000
LIMIT = 1.5


def files(package: str, count: int) -> Iterator[tuple[str, int]]:
    """Paths and sizes: programs and libraries among those of others, data and documents in folders of their own."""
    chance = random.Random(package)
    own = (f"usr/share/doc/{package}", f"usr/include/{package}", f"usr/share/{package}/data")
    folders = ("usr/bin", "usr/lib", *own)
    for n in range(count):
        yield f"{folders[n % 5]}/{package}-{n}", int(chance.expovariate(1 / _MEAN))


def make_package(wagon: Path, number: int, count: int, version: str, every: tarfile.TarFile | None) -> Candidate:
    """One package in the wagon; the same files go to ``every`` as well."""
    name = f"p{number}"
    noise = random.Random(number).randbytes(1 << 16)
    out = io.BytesIO()
    listed = list(files(name, count))
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        folders = sorted({str(parent) for path, _ in listed for parent in Path(path).parents if str(parent) != "."})
        for folder in folders:
            info = tarfile.TarInfo(folder)
            info.type, info.mode, info.mtime = tarfile.DIRTYPE, 0o755, 10**9
            tar.addfile(info)
        for path, size in sorted(listed):
            info = tarfile.TarInfo(path)
            content = (version.encode() + noise * (size // len(noise) + 1))[:size]
            info.size, info.mode, info.mtime = len(content), 0o644, 10**9
            for archive in (tar, every):
                if archive is not None:
                    archive.addfile(info, io.BytesIO(content))
    packer = compressor("zstd")
    content = packer.compress(out.getvalue()) + packer.flush()
    path = f"{name}-bench-{version}.package.tar.zst"
    (wagon / path).write_bytes(content)
    runtime = {"name": name, "category": "bench", "version": version}
    digest = hashlib.sha256(content).hexdigest()
    metadata = Metadata(path, {"sha256": digest}, "zstd", tuple(one for one, _ in listed), runtime)
    repository = RepositoryConfig("bench", type="disk", enable=True, urls=(str(wagon),))
    return Candidate(PackageId("bench", name, version), repository, Entry(metadata, json.dumps(runtime).encode()))


@dataclasses.dataclass
class Measured:
    """Wall clock and CPU seconds (children included)."""

    wall: list[float] = dataclasses.field(default_factory=list)
    cpu: list[float] = dataclasses.field(default_factory=list)

    def run(self, work: Callable[[], object]) -> None:
        """One more run, with nothing waiting to be written by others."""
        os.sync()
        wall, cpu = time.monotonic(), _cpu()
        work()
        self.wall.append(time.monotonic() - wall)
        self.cpu.append(_cpu() - cpu)

    def __str__(self) -> str:
        return f"{statistics.median(self.wall):7.2f} s wall {statistics.median(self.cpu):7.2f} s CPU"


def _cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


class Bench:
    """The packages, and what is done with them."""

    def __init__(self, folder: Path, packages: int, count: int) -> None:
        self.folder = folder
        self.wagon = folder / "wagon"
        self.wagon.mkdir()
        self.archive = folder / "all.tar"
        with tarfile.open(self.archive, "w", format=tarfile.PAX_FORMAT) as every:
            self.old = [make_package(self.wagon, n, count, "1.0", every) for n in range(packages)]
        self.new = [make_package(self.wagon, n, count, "2.0", None) for n in range(packages)]

    def fresh(self) -> Path:
        """An empty folder. None is removed before the end: ext4 is slow at making files while deletions are recent."""
        return Path(tempfile.mkdtemp(prefix="root-", dir=self.folder))

    def one_by_one(self, root: Path) -> None:
        """A tar for each package."""
        for one in self.old:
            tarball = self.wagon / one.entry.metadata.path
            subprocess.run(["tar", "--zstd", "-xf", tarball, "-C", root], check=True)

    def one_archive(self, root: Path) -> None:
        """One tar for all."""
        subprocess.run(["tar", "-xf", self.archive, "-C", root], check=True)

    def install(self, root: Path, *, durable: bool) -> None:
        """All packages by one transaction."""
        self._apply(root, Change(install=tuple(self.old), order=tuple(one.id for one in self.old)), durable)

    def upgrade(self, root: Path) -> None:
        """All packages by their other version."""
        state = root / "var/cache/luet"
        with Database(state / "anise.sqlite") as database:
            old = {one.id.name: one for one in database.installed()}
        pairs = tuple((old[one.id.name], one) for one in self.new)
        self._apply(root, Change(replace=pairs, order=tuple(one.id for one in self.new)), True)

    def _apply(self, root: Path, change: Change, durable: bool) -> None:
        state = root / "var/cache/luet"
        config = ClientConfig(root, state, state / "packages", self.folder / "tmp")
        with Database(config.database_file) as database:
            apply(change, config, database, options=Options(durable=durable))


def main() -> None:
    """Runs all in turns, so that a busy moment of the machine hits each of them. Exits with 1 above the limit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--packages", type=int, default=500)
    parser.add_argument("--files", type=int, default=150)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path("/var/tmp"))
    options = parser.parse_args()
    names = ("tar (one by one)", "tar (one archive)", "install", "install, not durable", "upgrade")
    measured = {name: Measured() for name in names}
    with tempfile.TemporaryDirectory(dir=options.folder) as temporary:
        bench = Bench(Path(temporary), options.packages, options.files)
        for _ in range(options.rounds):
            root = bench.fresh()
            measured["tar (one by one)"].run(lambda root=root: bench.one_by_one(root))
            root = bench.fresh()
            measured["tar (one archive)"].run(lambda root=root: bench.one_archive(root))
            root = bench.fresh()
            measured["install, not durable"].run(lambda root=root: bench.install(root, durable=False))
            root = bench.fresh()
            measured["install"].run(lambda root=root: bench.install(root, durable=True))
            measured["upgrade"].run(lambda root=root: bench.upgrade(root))
    print(f"{options.packages} packages with {options.files} files each, median of {options.rounds}")
    for name, one in measured.items():
        print(f"{name:22} {one}")
    ratio = 0.0
    for name in reversed(names[:2]):
        ratio = statistics.median(measured["install"].wall) / statistics.median(measured[name].wall)
        cpu = statistics.median(measured["install"].cpu) / statistics.median(measured[name].cpu)
        print(f"install / {name}: {ratio:.2f} (CPU {cpu:.2f})")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB")
    raise SystemExit(ratio > LIMIT)


if __name__ == "__main__":
    main()
