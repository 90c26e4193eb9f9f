# SPDX-License-Identifier: GPL-3.0-or-later
"""xz in blocks: the same bytes on any number of cores, and every reader takes them."""

from __future__ import annotations

import functools
import lzma
import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from farm.store.compress import compressor
from farm.store.xzblocks import XzCompressor, dictionary_size

BLOCK = 1 << 20
"""Bytes of a block at level 0."""


@functools.cache
def text(size: int) -> bytes:
    """Bytes that compress, the same every time."""
    chance = random.Random(size)
    words = [chance.randbytes(chance.randrange(2, 9)) for _ in range(300)]
    once = b"".join(chance.choices(words, k=20_000))
    return (once * (size // len(once) + 1))[:size]


def packed(data: bytes, level: int = 0, piece: int = 300_000) -> bytes:
    """The stream, given its content in pieces of some size."""
    packer = XzCompressor(level)
    return b"".join(packer.compress(data[at : at + piece]) for at in range(0, len(data), piece)) + packer.flush()


@pytest.mark.parametrize("size", [0, 1, 1000, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 7])
def test_python_reads_it(size: int) -> None:
    assert lzma.decompress(packed(text(size))) == text(size)


def test_random_bytes() -> None:
    data = random.Random(1).randbytes(2 * BLOCK + 5)
    assert lzma.decompress(packed(data)) == data


def test_cores_and_pieces_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    data = text(3 * BLOCK + 7)
    found = set()
    for cores, piece in ((1, 300_000), (2, 100), (7, len(data)), (None, 1_234_567)):
        monkeypatch.setattr(os, "cpu_count", lambda cores=cores: cores)
        found.add(packed(data, piece=max(piece, 5000)))
    assert len(found) == 1


@pytest.mark.parametrize("level", [0, 3, 6, 9])
def test_the_header_names_the_dictionary(level: int) -> None:
    """A dictionary that is too small in the header would be refused by a reader."""
    data = text(4000)
    assert lzma.decompress(packed(data, level)) == data
    assert dictionary_size(level) >= 1 << 18


@pytest.mark.skipif(shutil.which("xz") is None, reason="xz is not installed")
def test_xz_reads_it_on_all_cores(tmp_path: Path) -> None:
    file = tmp_path / "a.xz"
    file.write_bytes(packed(text(3 * BLOCK + 7)))
    out = subprocess.run(["xz", "-dc", "-T4", file], capture_output=True, check=True).stdout
    assert out == text(3 * BLOCK + 7)
    listed = subprocess.run(["xz", "-lvv", "--robot", file], capture_output=True, text=True, check=True).stdout
    summary = next(line for line in listed.splitlines() if line.startswith("summary")).split("\t")
    assert summary[2] == "yes", "sizes in the headers"
    assert sum(line.startswith("block") for line in listed.splitlines()) == 4


def test_as_a_compression() -> None:
    packer = compressor("xz", 1)
    assert lzma.decompress(packer.compress(b"abc") + packer.flush()) == b"abc"
