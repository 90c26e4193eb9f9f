# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that leave the store: whole or not at all, whoever else writes them, and whenever the farm is killed."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from farm.spec.problem import FarmError
from farm.store.outputs import PART, Together, digests_of, part_of, put_blob, put_bytes, told
from farm.store.store import Store

MIB = 1 << 20
PUT = """
import sys
from pathlib import Path
from farm.store.outputs import Together
source, folder = map(Path, sys.argv[1:])
with Together() as outputs:
    for name in ("one", "two"):
        outputs.add_file(source, folder / name)
    outputs.add_bytes(folder / "list", source.read_bytes()[:9])
"""


def test_holes_stay_holes(tmp_path: Path) -> None:
    source = tmp_path / "source"
    with open(source, "wb") as out:
        out.write(b"begin")
        out.seek(40 * MIB)
        out.write(b"middle" + bytes(3 * MIB + 1))
    with Together() as outputs:
        digests = outputs.add_file(source, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == source.read_bytes()
    assert (tmp_path / "copy").stat().st_blocks * 512 < MIB
    assert digests.sha256 == hashlib.sha256(source.read_bytes()).hexdigest()
    assert digests == digests_of(source)


def test_all_or_none(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"old")
    with pytest.raises(FileNotFoundError), Together() as outputs:
        outputs.add_bytes(tmp_path / "one", b"new")
        outputs.add_file(tmp_path / "gone", tmp_path / "two")
    assert [path.name for path in tmp_path.iterdir()] == ["one"]
    assert (tmp_path / "one").read_bytes() == b"old"


def test_a_damaged_blob_replaces_nothing(store: Store, tmp_path: Path) -> None:
    digest = store.put_blob(b"right")
    (tmp_path / "file").write_bytes(b"older")
    store.blob_path(digest).chmod(0o644)
    store.blob_path(digest).write_bytes(b"wrong")
    with pytest.raises(FarmError) as failure:
        put_blob(store, digest, tmp_path / "file")
    assert failure.value.code == "damaged-blob"
    assert (tmp_path / "file").read_bytes() == b"older" and not store.has_blob(digest)


def test_what_is_there_already_is_left_alone(store: Store, tmp_path: Path) -> None:
    digest = store.put_blob(b"content")
    put_blob(store, digest, tmp_path / "file")
    put_bytes(tmp_path / "small", b"small")
    before = [(tmp_path / name).stat().st_ino for name in ("file", "small")]
    put_blob(store, digest, tmp_path / "file")
    put_bytes(tmp_path / "small", b"small")
    assert [(tmp_path / name).stat().st_ino for name in ("file", "small")] == before


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_bytes(b"precious")
    (tmp_path / "file").symlink_to("precious")
    put_bytes(tmp_path / "file", b"new")
    (tmp_path / f".other{PART}").symlink_to("precious")
    with pytest.raises(FarmError) as failure, told(tmp_path / "other"):
        put_bytes(tmp_path / "other", b"new")
    assert failure.value.code == "not-delivered"
    assert (tmp_path / "precious").read_bytes() == b"precious"
    assert (tmp_path / "file").read_bytes() == b"new" and not (tmp_path / "file").is_symlink()


def test_two_writers_take_turns(tmp_path: Path) -> None:
    order: list[str] = []

    def second() -> None:
        with part_of(tmp_path / "file") as (part, out):
            order.append("second begins")
            out.write(b"second")
            out.flush()
            part.replace(tmp_path / "file")

    with part_of(tmp_path / "file") as (part, out):
        other = threading.Thread(target=second)
        other.start()
        time.sleep(0.1)
        out.write(b"first")
        out.flush()
        part.replace(tmp_path / "file")
        assert (tmp_path / "file").read_bytes() == b"first"
        order.append("first ends")
    other.join()
    assert order == ["first ends", "second begins"]
    assert (tmp_path / "file").read_bytes() == b"second"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_killed_at_any_moment(tmp_path: Path) -> None:
    """Every file is whole, old or new; the last one has its name after all others; the next run tidies up."""
    source, folder = tmp_path / "source", tmp_path / "out"
    folder.mkdir()
    old, new = random.Random(1).randbytes(24 * MIB), random.Random(2).randbytes(24 * MIB)
    command = [sys.executable, "-c", PUT, str(source), str(folder)]
    source.write_bytes(old)
    began = time.monotonic()
    subprocess.run(command, check=True)
    took = time.monotonic() - began
    seen: set[bool] = set()
    for step in range(1, 12):
        source.write_bytes(new)
        process = subprocess.Popen(command)
        time.sleep(took * step / 10)
        process.send_signal(signal.SIGKILL)
        process.wait()
        there = {name: (folder / name).read_bytes() for name in ("one", "two", "list")}
        assert there["one"] in (old, new) and there["two"] in (old, new)
        assert there["list"] in (old[:9], new[:9])
        if there["list"] == new[:9]:
            assert there["one"] == there["two"] == new
        seen.add(there["one"] == new)
        source.write_bytes(old)
        subprocess.run(command, check=True)
        assert sorted(path.name for path in folder.iterdir()) == ["list", "one", "two"]
        assert (folder / "one").read_bytes() == old
    assert False in seen


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_full_disk(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "farm-test", small], check=True)
    try:
        (small / "one").write_bytes(b"old")
        (tmp_path / "source").write_bytes(random.Random(1).randbytes(2 * MIB))
        with pytest.raises(FarmError) as failure, told(small / "one"), Together() as outputs:
            outputs.add_bytes(small / "two", b"new")
            outputs.add_file(tmp_path / "source", small / "one")
        assert failure.value.code == "disk-full"
        assert [path.name for path in small.iterdir()] == ["one"]
        assert (small / "one").read_bytes() == b"old"
    finally:
        subprocess.run(["umount", small], check=True)
