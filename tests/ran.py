# SPDX-License-Identifier: GPL-3.0-or-later
"""How a command that a test called ended."""

from __future__ import annotations

import dataclasses
import json
from typing import Any


@dataclasses.dataclass(frozen=True)
class Ran:
    """How a command ended."""

    status: int
    out: str
    err: str

    def json(self) -> Any:
        """Its standard output as one document."""
        return json.loads(self.out)

    def lines(self) -> list[dict[str, Any]]:
        """Its standard output as JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]
