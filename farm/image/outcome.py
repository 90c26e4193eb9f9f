# SPDX-License-Identifier: GPL-3.0-or-later
"""What a failed image job found wrong with its board, brought back to the board file's places."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from farm.engine.summary import Summary
from farm.image.graph import image_node
from farm.image.inside.report import MARK
from farm.image.model import Board
from farm.spec.problem import Problem

_MOST = 1 << 20


def board_problems(boards: Sequence[Board], summary: Summary) -> list[Problem]:
    """Problems of the board files that the jobs of a run have found, with file, line and column."""
    by_node = {image_node(board.name): board for board in boards}
    found: list[Problem] = []
    for failed in summary.failures:
        board = by_node.get(failed.node)
        if board and failed.log:
            found += _told(board, failed.log)
    return found


def _told(board: Board, log: Path) -> Iterator[Problem]:
    with open(log, "rb") as file:
        text = file.read(_MOST).decode(errors="replace")
    for line in text.splitlines():
        _, mark, data = line.partition(MARK)
        if mark:
            told = json.loads(data)
            yield Problem(told["code"], told["message"], board.place(tuple(told["at"])), told["hint"])
