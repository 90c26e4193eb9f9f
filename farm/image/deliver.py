# SPDX-License-Identifier: GPL-3.0-or-later
"""Images of a run, put into a folder with all that belongs to them. Each file is there whole or not at all."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from farm.image.graph import FOLDER, image_node, output_node
from farm.image.model import Board
from farm.plan.node import Result
from farm.spec.problem import FarmError, Problem, error
from farm.spec.whole import write_whole
from farm.store.store import Store

_CHUNK = 1 << 20
_SUFFIXES = {"img": ".img", "zst": ".img.zst", "xz": ".img.xz"}
ALGORITHMS = ("sha256", "sha512")

Sign = Callable[[bytes, str], bytes]
"""Signs a content with a trusted comment: the signature file (minisign)."""


class Describe(Protocol):
    """Makes the bill of materials of a board's image with this sha256."""

    def __call__(self, board: Board, sha256: str) -> bytes:
        """The document."""


@dataclasses.dataclass(frozen=True, slots=True)
class Delivered:
    """A file of an image. ``size`` in bytes; ``digests`` by algorithm."""

    board: str
    file: Path
    size: int
    digests: Mapping[str, str]


def deliver(
    boards: Sequence[Board],
    made: Mapping[str, Result],
    store: Store,
    folder: Path,
    describe: Describe,
    sign: Sign | None = None,
) -> list[Delivered]:
    """Puts the outputs of all boards that were made into a folder, with map, digests, SBOM and signature.

    FarmError ``not-delivered`` with all that could not be put there, or ``disk-full``.
    """
    delivered: list[Delivered] = []
    problems: list[Problem] = []
    for board in boards:
        if image_node(board.name) not in made and not any(output_node(board.name, o) in made for o in board.outputs):
            continue
        try:
            folder.mkdir(parents=True, exist_ok=True)
            files = list(_files(board, made, store, folder))
            delivered += files
            _beside(board, files, folder, describe, sign)
        except OSError as failure:
            code = "disk-full" if failure.errno == errno.ENOSPC else "not-delivered"
            problems.append(Problem(code, f"{failure.filename or folder}: {failure.strerror}"))
    if problems:
        raise FarmError(problems)
    return delivered


def image_path(board: str, made: Mapping[str, Result], store: Store) -> Path:
    """The raw image in the store. FarmError ``not-made`` when it was not made."""
    result = made.get(image_node(board))
    if result is None or result.layer is None:
        raise error("not-made", f"the image of {board} was not made")
    return Path(f"{store.layer_path(result.layer)}{FOLDER}/{board}.img")


def _files(board: Board, made: Mapping[str, Result], store: Store, folder: Path) -> Iterator[Delivered]:
    for output in board.outputs:
        result = made.get(output_node(board.name, output))
        if result and result.layer:
            name = f"{board.name}{_SUFFIXES[output]}"
            source = Path(f"{store.layer_path(result.layer)}{FOLDER}/{name}")
            yield _put(board.name, source, folder / name)
    if result := made.get(image_node(board.name)):
        source = Path(f"{store.layer_path(result.layer or '')}{FOLDER}/{board.name}.bmap")
        yield _put(board.name, source, folder / source.name)


def _beside(board: Board, files: Sequence[Delivered], folder: Path, describe: Describe, sign: Sign | None) -> None:
    image = next((f for f in files if f.file.suffix == ".img"), None)
    if image:
        write_whole(folder / f"{board.name}.cdx.json", describe(board, image.digests["sha256"]))
    for algorithm in ALGORITHMS:
        lines = "".join(f"{f.digests[algorithm]}  {f.file.name}\n" for f in files).encode()
        name = f"{board.name}.{algorithm}"
        write_whole(folder / name, lines)
        if sign:
            write_whole(folder / f"{name}.minisig", sign(lines, f"file:{name}"))


def _put(board: str, source: Path, target: Path) -> Delivered:
    """Copies a file, holes as holes, and switches in one step when it is complete."""
    part = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        digests = copy_sparse(source, part)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return Delivered(board, target, target.stat().st_size, digests)


def copy_sparse(source: Path, target: Path) -> dict[str, str]:
    """Copies a file so that parts of zeros become holes; its digests by algorithm. Raises OSError."""
    made = {algorithm: hashlib.new(algorithm) for algorithm in ALGORITHMS}
    with open(source, "rb") as file, open(target, "wb") as out:
        size = os.fstat(file.fileno()).st_size
        out.truncate(size)
        while data := file.read(_CHUNK):
            for digest in made.values():
                digest.update(data)
            if data.strip(b"\0"):
                os.pwrite(out.fileno(), data, file.tell() - len(data))
        os.fsync(out.fileno())
    return {algorithm: digest.hexdigest() for algorithm, digest in made.items()}
