# SPDX-License-Identifier: GPL-3.0-or-later
"""Image writing as a ratio to ``mke2fs -d`` alone, on the same root in the same run.

    python benchmarks/image_write.py [FILES]

Both read the root's tar archive and write an ext4 of the same size. The farm's side also reads the archive's headers,
puts files over it, writes the partition table, checks the result with e2fsck and makes the bmap file. The mke2fs is
that of specs/boards/tools/image, taken out of Debian's packages.
"""

from __future__ import annotations

import io
import os
import random
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import yaml

from farm.image.inside import bmap, filesystems, table
from farm.image.inside.report import Findings
from farm.image.inside.roottar import Over, Root
from farm.plan.job import EPOCH, Fetch
from farm.store.fetch import fetch
from farm.store.store import Store

START, SIZE = 4 << 20, 1 << 30
TOOLS = Path(__file__).parent.parent / "specs/boards/tools/image/build.yaml"
UUID = "6f1f1c3e-0f5c-4d3c-9d39-2d7f9a5f4b11"
PART = {"number": 1, "name": "root", "type": "ext4", "start": START, "size": SIZE, "label": "root", "mount": "/",
        "uuid": UUID, "bootable": True}  # fmt: skip


def unpack_tools(folder: Path) -> Path:
    """The folder with mke2fs and e2fsck."""
    with Store(folder / "store") as store:
        for source in yaml.safe_load(TOOLS.read_text())["sources"]:
            digest = fetch(Fetch(source["sha256"], (source["url"],)), store, None, threading.Event())
            subprocess.run(["dpkg-deb", "-x", store.blob_path(digest), folder / "new"], check=True)
    (folder / "bin").mkdir()
    library = next((folder / "new").rglob("libext2fs.so.2")).parent
    for name in ("mke2fs", "e2fsck"):
        real = next(path for path in (folder / "new").rglob(name) if path.is_file() and "sbin" in path.parts)
        (folder / "bin" / name).write_text(f'#!/bin/sh\nLD_LIBRARY_PATH={library} exec {real} "$@"\n')
        (folder / "bin" / name).chmod(0o755)
    return folder / "bin"


def make_root(path: Path, files: int) -> None:
    """A root of that many files, of 0 to 32 KiB."""
    chance = random.Random(1)
    data = chance.randbytes(32768)
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for number in range(files):
            if number % 200 == 0:
                folder = tarfile.TarInfo(f"d{number // 200}")
                folder.type, folder.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(folder)
            entry = tarfile.TarInfo(f"d{number // 200}/f{number}")
            entry.size, entry.mtime = chance.randrange(32768), EPOCH
            tar.addfile(entry, io.BytesIO(data[: entry.size]))


def alone(tools: Path, folder: Path) -> None:
    """mke2fs and nothing else."""
    image = folder / "alone.img"
    image.unlink(missing_ok=True)
    with open(image, "wb") as out:
        out.truncate(SIZE)
    subprocess.run([tools / "mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-I", "256", "-U", UUID, "-N", "131072",
                    "-E", f"hash_seed={UUID}", "-d", folder / "root.tar", image], check=True)  # fmt: skip


def whole(tools: Path, folder: Path) -> None:
    """All that the image's job does with a root."""
    filesystems.EXT4 = str(tools)
    image = folder / "whole.img"
    image.unlink(missing_ok=True)
    root = Root(folder / "root.tar")
    over = Over(root, folder / "over.tar", EPOCH)
    over.file("/etc/hostname", b"board\n")
    over.close()
    with tarfile.open(folder / "over.tar") as tar:
        tar.getmembers()
        end = tar.offset
    with open(image, "wb") as out:
        out.truncate(START + SIZE)
        entry = table.Entry("ext4", START // 512, SIZE // 512, "root", True, UUID)
        os.pwrite(out.fileno(), table.mbr([entry], 1), 0)
    archives = [(root.tar, root.end), (folder / "over.tar", end)]
    filesystems.write_ext4(image, PART, archives, len(root.kinds), Findings(), {})
    with open(image, "rb") as file:
        ranges = bmap.mapped(file.fileno(), START + SIZE, bmap.ext4_used(file.fileno(), START))
        (folder / "whole.bmap").write_bytes(bmap.document(file.fileno(), START + SIZE, ranges))


def measured(work: Callable[[], None]) -> tuple[float, float]:
    """Wall and CPU seconds (this process and its children), the best of three by CPU."""
    best = (float("inf"), float("inf"))
    for _ in range(3):
        wall, before = time.monotonic(), sum(os.times()[:4])
        work()
        best = min(best, (time.monotonic() - wall, sum(os.times()[:4]) - before), key=lambda pair: pair[1])
    return best


def main() -> None:
    """Prints both and their ratio."""
    files = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    os.environ["SOURCE_DATE_EPOCH"] = str(EPOCH)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tools = unpack_tools(folder)
        make_root(folder / "root.tar", files)
        one, two = measured(lambda: alone(tools, folder)), measured(lambda: whole(tools, folder))
        megabytes = (folder / "root.tar").stat().st_size / 1e6
    print(f"{files} files, {megabytes:.0f} MB of tar, ext4 of {SIZE >> 20} MiB; CPU seconds (wall)")
    print(f"mke2fs -d alone           {one[1]:6.2f} ({one[0]:.2f})")
    print(f"table, ext4, check, bmap  {two[1]:6.2f} ({two[0]:.2f})")
    print(f"ratio of CPU              {two[1] / one[1]:6.2f}")


if __name__ == "__main__":
    main()
