# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes an image to a card or a file: only what its map names, then reads it back and compares."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import hashlib
import lzma
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

from farm.image.blockmap import BlockMap, Range, read_map
from farm.image.device import check_kind, is_device
from farm.spec.problem import FarmError, error
from farm.store.outputs import part_of, write_at

_CHUNK = 1 << 20

Progress = Callable[[str, int, int], None]
"""Hears of a phase (``writing`` or ``reading back``), bytes done, and bytes in all."""


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """An image file, plain or compressed, and its map when there is one beside it. ``size`` of the plain image."""

    file: Path
    map: BlockMap | None
    size: int


def open_source(file: Path) -> Source:
    """The image and what is known of it; a card can be one. FarmError ``no-image``, ``bad-bmap``, ``no-size``
    (compressed, and no map beside it)."""
    check_kind(file)
    stem = file.name.removesuffix(".zst").removesuffix(".xz")
    beside = [file.with_name(f"{name}.bmap") for name in (file.name, stem, stem.removesuffix(".img"))]
    found = next((path for path in beside if path.is_file()), None)
    if found:
        known = read_map(found)
        if file.name == stem and _length(file) != known.size:
            raise error("bad-bmap", f"{found.name} is for an image of {known.size} bytes, not for {file.name}")
        return Source(file, known, known.size)
    if file.name != stem:
        hint = f"put {stem.removesuffix('.img')}.bmap beside it, or unpack it first"
        raise error("no-size", f"the size of {file.name} is not known", hint=hint)
    return Source(file, None, _length(file))


def _length(file: Path) -> int:
    """Bytes of a file or a block device."""
    with open(file, "rb") as image:
        return image.seek(0, os.SEEK_END)


def burn(source: Source, target: Path, progress: Progress) -> int:
    """Writes, waits until the bytes are on the card, and reads them back; how many bytes were written.

    FarmError ``bad-image`` (the image is not what its map says), ``write-failed``, ``read-back-failed``, ``disk-full``,
    ``device-in-use``, ``not-the-same`` (what is read back is something else).
    """
    phase = "writing"
    ranges = source.map.ranges if source.map else (Range(0, source.size, ""),)
    total = sum(item.end - item.start for item in ranges)
    try:
        with _opened(target, source.size) as out:
            sums = _write(source, out, ranges, progress, total)
            os.fsync(out)
            os.posix_fadvise(out, 0, 0, os.POSIX_FADV_DONTNEED)
            phase = "reading back"
            _compare(out, ranges, sums, progress, total)
    except OSError as failure:
        raise _told(target, phase, failure) from failure
    return total


def _told(target: Path, phase: str, failure: OSError) -> FarmError:
    if failure.errno == errno.EBUSY:
        return error("device-in-use", f"{target}: {failure.strerror}", hint="something has opened it; unmount it")
    if failure.errno == errno.ENOSPC:
        return error("disk-full", f"{target}: {failure.strerror}")
    hint = "the card or its reader is broken" if failure.errno == errno.EIO else ""
    code = "write-failed" if phase == "writing" else "read-back-failed"
    return error(code, f"{target}: {phase}: {failure.strerror}", hint=hint)


@contextlib.contextmanager
def _opened(target: Path, size: int) -> Iterator[int]:
    """A device, exclusively (O_EXCL), which the kernel refuses while anything is mounted from it; or what becomes the
    target's file at the end of the block."""
    if not is_device(target):
        file = target.resolve()
        with part_of(file) as (part, out):
            os.ftruncate(out.fileno(), size)
            yield out.fileno()
            part.replace(file)
        return
    number = os.open(target, os.O_RDWR | os.O_CLOEXEC | os.O_EXCL)
    try:
        yield number
    finally:
        os.close(number)


def _write(source: Source, out: int, ranges: tuple[Range, ...], progress: Progress, total: int) -> list[str]:
    """Writes the ranges, in order; their sums."""
    done = at = 0
    sums: list[str] = []
    with _plain(source.file) as image:
        for item in ranges:
            at = _skip(image, at, item.start)
            digest = hashlib.sha256()
            while at < item.end:
                data = image.read(min(_CHUNK, item.end - at))
                if not data:
                    raise error("bad-image", f"{source.file.name} ends at byte {at}, before its map does")
                digest.update(data)
                write_at(out, data, at)
                at += len(data)
                done += len(data)
                progress("writing", done, total)
            sums.append(digest.hexdigest())
            if item.sha256 and item.sha256 != sums[-1]:
                message = f"{source.file.name} at byte {item.start} is not what its map says"
                raise error("bad-image", message, hint="get the image anew")
    return sums


def _skip(image: BinaryIO, at: int, to: int) -> int:
    if image.seekable():
        image.seek(to)
        return to
    while at < to:
        data = image.read(min(_CHUNK, to - at))
        if not data:
            break
        at += len(data)
    return at


def _compare(out: int, ranges: tuple[Range, ...], sums: list[str], progress: Progress, total: int) -> None:
    done = 0
    for item, expected in zip(ranges, sums, strict=True):
        digest = hashlib.sha256()
        at = item.start
        while at < item.end:
            data = os.pread(out, min(_CHUNK, item.end - at), at)
            if not data:
                break
            digest.update(data)
            at += len(data)
            done += len(data)
            progress("reading back", done, total)
        if digest.hexdigest() != expected:
            hint = "the card is broken, or smaller than it says"
            raise error("not-the-same", f"what was read back at byte {item.start} is not what was written", hint=hint)


@contextlib.contextmanager
def _plain(file: Path) -> Iterator[BinaryIO]:
    """The plain image, whatever it is packed with. FarmError ``bad-image`` for a broken archive."""
    import zstandard

    with open(file, "rb") as packed:
        try:
            if file.suffix == ".zst":
                with zstandard.ZstdDecompressor().stream_reader(packed) as plain:
                    yield cast(BinaryIO, _Stream(plain))
            elif file.suffix == ".xz":
                with lzma.open(packed) as unpacked:
                    yield cast(BinaryIO, _Stream(unpacked))
            else:
                yield packed
        except (zstandard.ZstdError, lzma.LZMAError, EOFError) as failure:
            raise error("bad-image", f"{file.name} is damaged: {failure}") from failure


class _Stream:
    """Something that can only be read on."""

    def __init__(self, plain: BinaryIO | lzma.LZMAFile) -> None:
        self._plain = plain

    def read(self, count: int) -> bytes:
        """Up to ``count`` bytes."""
        return self._plain.read(count)

    def seekable(self) -> bool:
        """Never."""
        return False
