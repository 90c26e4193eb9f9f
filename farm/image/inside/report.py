# SPDX-License-Identifier: GPL-3.0-or-later
"""How the job tells what is wrong with the board: lines that the farm finds in its log and gives their place."""

from __future__ import annotations

import json
from typing import Any

MARK = "farm-image-problem: "
"""Begins a line of the log that holds one finding as JSON: code, message, hint, and the path of keys."""


class Findings:
    """All that is wrong, so that it can be said at once."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def add(self, code: str, message: str, at: tuple[str | int, ...], hint: str = "") -> None:
        """One more; ``at`` leads to the value in the board file."""
        data: dict[str, Any] = {"code": code, "message": message, "at": list(at), "hint": hint}
        self.lines.append(MARK + json.dumps(data))

    def stop_if_any(self) -> None:
        """Ends the program with status 3 when something is wrong."""
        if self.lines:
            print("\n".join(self.lines), flush=True)
            raise SystemExit(3)
