# SPDX-License-Identifier: GPL-3.0-or-later
"""Images of a run, put into a folder with all that belongs to them. Each file is there whole or not at all.

The files of a board get their names together, when the last of them is written; the lists of digests last of all.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from farm.image.graph import FOLDER, image_node, output_node
from farm.image.model import Board
from farm.plan.node import Result
from farm.spec.problem import FarmError, Problem, error
from farm.store.outputs import ALGORITHMS, Digests, Together, told
from farm.store.store import Store

_SUFFIXES = {"img": ".img", "zst": ".img.zst", "xz": ".img.xz"}

Sign = Callable[[bytes, str], bytes]
"""Signs a content with a trusted comment: the signature file (minisign)."""


class Describe(Protocol):
    """Makes the bill of materials of a board's image with this sha256."""

    def __call__(self, board: Board, sha256: str) -> bytes:
        """The document."""


@dataclasses.dataclass(frozen=True, slots=True)
class Delivered:
    """A file of an image."""

    board: str
    file: Path
    digests: Digests


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
            with told(folder / f"{board.name}.img"), Together() as outputs:
                files = list(_files(board, made, store, folder, outputs))
                _beside(board, files, folder, outputs, describe, sign)
            delivered += files
        except FarmError as failure:
            problems += failure.problems
    if problems:
        raise FarmError(problems)
    return delivered


def image_path(board: str, made: Mapping[str, Result], store: Store) -> Path:
    """The raw image in the store. FarmError ``not-made`` when it was not made."""
    result = made.get(image_node(board))
    if result is None or result.layer is None:
        raise error("not-made", f"the image of {board} was not made")
    return Path(f"{store.layer_path(result.layer)}{FOLDER}/{board}.img")


def _files(
    board: Board, made: Mapping[str, Result], store: Store, folder: Path, outputs: Together
) -> Iterator[Delivered]:
    for output in board.outputs:
        result = made.get(output_node(board.name, output))
        if result and result.layer:
            name = f"{board.name}{_SUFFIXES[output]}"
            source = Path(f"{store.layer_path(result.layer)}{FOLDER}/{name}")
            yield Delivered(board.name, folder / name, outputs.add_file(source, folder / name))
    if result := made.get(image_node(board.name)):
        source = Path(f"{store.layer_path(result.layer or '')}{FOLDER}/{board.name}.bmap")
        file = folder / source.name
        yield Delivered(board.name, file, outputs.add_file(source, file))


def _beside(
    board: Board,
    files: Sequence[Delivered],
    folder: Path,
    outputs: Together,
    describe: Describe,
    sign: Sign | None,
) -> None:
    image = next((f for f in files if f.file.suffix == ".img"), None)
    if image:
        outputs.add_bytes(folder / f"{board.name}.cdx.json", describe(board, image.digests.sha256))
    for algorithm in ALGORITHMS:
        lines = "".join(f.digests.line(algorithm, f.file.name) for f in files).encode()
        name = f"{board.name}.{algorithm}"
        outputs.add_bytes(folder / name, lines)
        if sign:
            outputs.add_bytes(folder / f"{name}.minisig", sign(lines, f"file:{name}"))
