# SPDX-License-Identifier: GPL-3.0-or-later
"""Tarballs that are made here: the same members give the same bytes, on any day and any machine."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, cast

from farm.kit.autogen.extensions.protocol import Bench
from farm.kit.autogen.model import Atom
from farm.kit.autogen.values import Artefact
from farm.kit.distfiles.fetching import Got
from farm.plan.job import EPOCH
from farm.spec.problem import error

_COMPRESSIONS = ("xz", "gz", "bz2", "zst")


@dataclasses.dataclass(frozen=True, slots=True)
class Member:
    """A member: its path, and its content (a file of this host, or bytes); or the target of a symbolic link."""

    path: str
    content: Path | bytes = b""
    link: str | None = None
    executable: bool = False


def make_bundle(
    bench: Bench, atom: Atom, values: Mapping[str, Any], kind: str, members: Iterable[Member]
) -> tuple[Artefact, Got]:
    """The bundle ``NAME-VERSION-IDENTIFIER[-SHA7].tar.xz``, in the store. FarmError ``bad-bundle``.

    ``kind`` is the identifier unless the option ``bundle_identifier`` names another.
    """
    identifier = identifier_of(bench, kind)
    compression = (bench.options.get("bundle_extension") or "xz").lstrip(".")
    if compression not in _COMPRESSIONS:
        raise error("bad-bundle", f"{compression!r} is no bundle_extension", hint=f"one of: {', '.join(_COMPRESSIONS)}")
    sha = str(values.get("sha") or "")
    parts = [atom.name, str(values.get("pv") or values["version"]), identifier, *([sha[:7]] if sha else [])]
    name = f"{'-'.join(parts)}.tar.{compression}"
    with bench.distfiles.store.scratch("bundle") as scratch:
        write_tarball(scratch / name, compression, members)
        got = bench.distfiles.add(scratch / name, name)
    return Artefact((f"{bench.mirror}/{name}",), name, local=True), got


def identifier_of(bench: Bench, kind: str) -> str:
    """``mark-go-bundle`` and so on, which is also the name of the folder in the bundle, before the package's."""
    return bench.options.get("bundle_identifier") or kind


def write_tarball(target: Path, compression: str, members: Iterable[Member]) -> None:
    """Writes a tarball: members by path, owners 0:0, one time, one mode for files and one for programs."""
    with (
        _compressed(target, compression) as out,
        tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT) as tar,
    ):
        folders: set[str] = set()
        for member in sorted(members, key=lambda one: one.path):
            for folder in _folders(member.path):
                if folder not in folders:
                    folders.add(folder)
                    tar.addfile(_info(folder, tarfile.DIRTYPE, 0o755))
            _add(tar, member)


def _add(tar: tarfile.TarFile, member: Member) -> None:
    if member.link is not None:
        info = _info(member.path, tarfile.SYMTYPE, 0o777)
        info.linkname = member.link
        tar.addfile(info)
        return
    info = _info(member.path, tarfile.REGTYPE, 0o755 if member.executable else 0o644)
    if isinstance(member.content, bytes):
        info.size = len(member.content)
        tar.addfile(info, io.BytesIO(member.content))
        return
    info.size = member.content.stat().st_size
    with open(member.content, "rb") as file:
        tar.addfile(info, file)


def _info(path: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(path)
    info.type, info.mode, info.mtime = kind, mode, EPOCH
    return info


def _folders(path: str) -> Iterable[str]:
    parts = path.split("/")[:-1]
    return ("/".join(parts[: count + 1]) for count in range(len(parts)))


@contextlib.contextmanager
def _compressed(target: Path, compression: str) -> Iterator[IO[bytes]]:
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(open(target, "wb"))
        yield stack.enter_context(_compressor(file, compression))


def _compressor(file: IO[bytes], compression: str) -> IO[bytes]:
    """What compresses into ``file``; none notes a time or a name."""
    if compression == "xz":
        import lzma

        return lzma.LZMAFile(file, "w", preset=6)
    if compression == "bz2":
        import bz2

        return bz2.BZ2File(file, "w")
    if compression == "gz":
        import gzip

        return cast(IO[bytes], gzip.GzipFile("", "wb", 9, file, 0))
    import zstandard

    return zstandard.ZstdCompressor(level=19, write_checksum=True).stream_writer(file, closefd=False)
