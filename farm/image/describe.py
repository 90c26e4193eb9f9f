# SPDX-License-Identifier: GPL-3.0-or-later
"""A board, as a person reads it."""

from __future__ import annotations

from collections.abc import Iterator

from farm.image.layout import shown
from farm.image.model import Board


def describe_board(board: Board) -> Iterator[str]:
    """Lines: what the board is made of, and the card from its beginning to its end."""
    yield f"{board.name}: {board.description}" if board.description else board.name
    yield f"  platform      {board.platform}"
    yield f"  kernel        {board.kernel}, device tree {board.device_tree or 'of the boot loader'}"
    root = [*(board.root_packages), *([board.tarball[0]] if board.tarball else [])]
    yield f"  root          {', '.join(root)}"
    if board.first_boot:
        yield f"  first boot    {', '.join(board.first_boot)}"
    if board.test:
        yield f"  boot test     QEMU {board.test.machine}"
    yield f"  card          {shown(board.size)}, {'GPT' if board.gpt else 'MBR'}"
    rows = [(loader.offset, f"{loader.package} ({loader.file})") for loader in board.loaders]
    for part in board.partitions:
        mount = f" at {part.mount}" if part.mount else ""
        rows.append((part.start, f"{part.name}: {part.type} {shown(part.size)} {part.label!r}{mount}"))
    for start, text in sorted(rows):
        yield f"    {shown(start):>8}    {text}"
