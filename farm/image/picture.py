# SPDX-License-Identifier: GPL-3.0-or-later
"""The layout of a card as text and as SVG. Widths grow with the square root, so that small things can be seen."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape

from farm.image.inspect import Inspected, Piece
from farm.image.layout import shown

COLOURS = {
    "table": "#ffd8a8", "loader": "#ffa8a8", "fat": "#a5d8ff", "ext4": "#b2f2bb", "raw": "#d0bfff", "free": "#f1f3f5",
}  # fmt: skip
_WIDTH, _HEIGHT, _LEAST = 900, 90, 26
_LINE = 20


def text(found: Inspected) -> Iterator[str]:
    """A bar, and a line for each piece."""
    yield f"{found.title}: {shown(found.size)}, {found.on_disk >> 20} MiB on disk, {found.table.upper()}"
    pieces = with_gaps(found)
    widths = _widths(pieces, 76, 3)
    marks = {"table": "t", "loader": "L", "fat": "F", "ext4": "E", "raw": "?", "free": "."}
    yield "|" + "|".join(marks[piece.kind] * width for piece, width in zip(pieces, widths, strict=True)) + "|"
    for piece in pieces:
        details = f": {', '.join(piece.details)}" if piece.details else ""
        yield f"{piece.start:>12} {shown(piece.size):>9}  {marks[piece.kind]} {piece.title}{details}"


def with_gaps(found: Inspected) -> list[Piece]:
    """All pieces, and what is free between them."""
    pieces: list[Piece] = []
    at = 0
    for piece in found.pieces:
        if piece.start > at:
            pieces.append(Piece("free", at, piece.start - at, "free"))
        pieces.append(piece)
        at = max(at, piece.start + piece.size)
    if at < found.size:
        pieces.append(Piece("free", at, found.size - at, "free"))
    return pieces


def _widths(pieces: Sequence[Piece], whole: int, least: int) -> list[int]:
    weights = [math.sqrt(max(piece.size, 1)) for piece in pieces]
    room = max(0, whole - least * len(pieces))
    return [least + int(room * weight / sum(weights)) for weight in weights]


def svg(found: Inspected) -> str:
    """A picture: the card from left to right, numbers to a list below it."""
    pieces = with_gaps(found)
    widths = _widths(pieces, _WIDTH, _LEAST)
    total, height = sum(widths), _HEIGHT + 70 + _LINE * len(pieces)
    title = f"{found.title}: {shown(found.size)}, {found.table.upper()}"
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{total + 40}" height="{height}" '
        'font-family="sans-serif" font-size="13">',
        f'<rect width="100%" height="100%" fill="white"/><text x="20" y="24" font-size="16">{escape(title)}</text>',
    ]
    x = 20
    for number, (piece, width) in enumerate(zip(pieces, widths, strict=True), 1):
        box = f'x="{x}" y="40" width="{width}" height="{_HEIGHT - 40}"'
        lines.append(f'<rect {box} fill="{COLOURS[piece.kind]}" stroke="#495057"/>')
        lines.append(f'<text x="{x + width / 2:.0f}" y="70" text-anchor="middle">{number}</text>')
        x += width
    for number, piece in enumerate(pieces, 1):
        y = _HEIGHT + 20 + _LINE * number
        label = ", ".join([f"{number}. {shown(piece.start)} + {shown(piece.size)}: {piece.title}", *piece.details])
        lines.append(
            f'<rect x="20" y="{y - 11}" width="12" height="12" fill="{COLOURS[piece.kind]}" stroke="#495057"/>'
        )
        lines.append(f'<text x="40" y="{y}">{escape(label)}</text>')
    return "\n".join([*lines, "</svg>", ""])
