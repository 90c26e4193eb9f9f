# SPDX-License-Identifier: GPL-3.0-or-later
"""File systems written by offset into the image: ext4 by mke2fs from tar archives, FAT by mkfs.vfat and mtools."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from farm.image.inside.holes import BLOCK, copy_parts
from farm.image.inside.report import Findings

EXT4 = "/opt/e2fsprogs/bin"
"""Where the package tools/image has its e2fsprogs."""
_LARGE_FAT = 64 << 20
_CHUNK = 1 << 20
_RATIO = 16384
"""Bytes for each inode that mke2fs reckons with."""

Archive = tuple[Path, int]
"""A tar archive and where its entries end."""


def write_ext4(
    image: Path, part: Mapping[str, Any], archives: Sequence[Archive], files: int, findings: Findings, plan: Any
) -> None:
    """Makes an ext4 that holds the entries of the archives, a later one over an earlier one.

    Its times come from SOURCE_DATE_EPOCH, its UUIDs from the board. ``files``: how many entries there are.
    """
    inodes = max(part["size"] // _RATIO, files + files // 4 + 64)
    options = f"hash_seed={part['uuid']},root_owner=0:0,offset={part['start']}"
    command = [
        f"{EXT4}/mke2fs", "-q", "-F", "-t", "ext4", "-b", str(BLOCK), "-I", "256", "-m", "1", "-N", str(inodes),
        "-L", part["label"], "-U", part["uuid"], "-M", part["mount"] or "/", "-O", "^orphan_file,^metadata_csum_seed",
        "-E", f"{options},lazy_itable_init=0,lazy_journal_init=0", "-d", "-", str(image), f"{part['size'] // 1024}k",
    ]  # fmt: skip
    if not archives:
        command[command.index("-d") : command.index("-d") + 2] = []
    env = {**os.environ, "E2FSPROGS_FAKE_TIME": os.environ["SOURCE_DATE_EPOCH"]}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=env) as process:
        assert process.stdin and process.stderr
        try:
            for archive, end in archives:
                with open(archive, "rb") as source:
                    _pour(source.fileno(), process.stdin.fileno(), end)
            if archives:
                process.stdin.write(bytes(1024))
            process.stdin.close()
        except BrokenPipeError:  # it has given up; why is what it says
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
        said = process.stderr.read().decode(errors="replace").strip()
    if process.returncode:
        _refused(part, said, findings)
        return
    if said:
        print(said, flush=True)
    _check_ext4(image, part)


def _pour(source: int, out: int, end: int) -> None:
    at = 0
    while at < end:
        at += os.splice(source, out, min(_CHUNK, end - at), offset_src=at)


def _refused(part: Mapping[str, Any], said: str, findings: Findings) -> None:
    at = ("partitions", part["number"] - 1, "size")
    if any(words in said for words in ("Could not allocate", "No space left", "no free", "No free")):
        message = f"the root does not fit into partition {part['name']} of {part['size'] >> 20} MiB"
        findings.add("root-too-large", message, at, "make the partition larger")
        return
    print(said, flush=True)
    raise SystemExit(f"mke2fs failed for partition {part['name']}")


def _check_ext4(image: Path, part: Mapping[str, Any]) -> None:
    """Nothing leaves this job that e2fsck finds fault with."""
    command = [f"{EXT4}/e2fsck", "-fn", f"{image}?offset={part['start']}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stdout, done.stderr, flush=True)
        raise SystemExit(f"e2fsck finds fault with partition {part['name']}")


def write_fat(image: Path, part: Mapping[str, Any], files: Mapping[str, bytes], findings: Findings, epoch: int) -> None:
    """Makes a FAT that holds files, given by path, in sorted order."""
    kind = ["-F", "32"] if part["size"] >= _LARGE_FAT else []
    needed = sum(-(-len(data) // BLOCK) * BLOCK for data in files.values())
    if needed > part["size"] - part["size"] // 64 - (64 << 10):
        message = f"the files of {needed >> 20} MiB do not fit into partition {part['name']}"
        findings.add("boot-too-large", message, ("partitions", part["number"] - 1, "size"), "make it larger")
        return
    serial = part["uuid"].replace("-", "")[:8]
    # In a file of its own: mkfs.vfat takes the size of clusters from that of the whole file.
    alone = Path("fat.part")
    alone.unlink(missing_ok=True)
    with open(alone, "xb") as file:
        file.truncate(part["size"])
    make = ["mkfs.vfat", "--invariant", *kind, "-n", part["label"], "-i", serial, "-h", str(part["start"] // 512),
            str(alone)]  # fmt: skip
    done = subprocess.run(make, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stdout, done.stderr, flush=True)
        raise SystemExit(f"mkfs.vfat failed for partition {part['name']}")
    if files:
        _copy_in(str(alone), files, epoch)
    with open(alone, "rb") as made, open(image, "r+b") as out:
        copy_parts(made.fileno(), part["size"], out.fileno(), part["start"])
    alone.unlink()


def _copy_in(target: str, files: Mapping[str, bytes], epoch: int) -> None:
    top = Path("fat")
    shutil.rmtree(top, ignore_errors=True)
    for name, data in files.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    folders = sorted(str(path.relative_to(top)) for path in top.rglob("*") if path.is_dir())
    for path in [*top.rglob("*"), top]:
        os.utime(path, (epoch, epoch))
    for folder in folders:
        subprocess.run(["mmd", "-i", target, f"::/{folder}"], check=True)
    for name in sorted(files):
        subprocess.run(["mcopy", "-m", "-Q", "-i", target, str(top / name), f"::/{name}"], check=True)
