# SPDX-License-Identifier: GPL-3.0-or-later
"""How the sandbox's helper processes are started."""

from __future__ import annotations

import sys
from pathlib import Path

_SOURCE = Path(__file__).resolve().parents[3]
_START = "import sys; sys.path.insert(0, sys.argv.pop(1)); from farm.runner.sandbox.spawner import main; "
_START += "sys.exit(main(sys.argv[1:]))"


def spawner_command(*arguments: str) -> list[str]:
    """The command line of `farm.runner.sandbox.spawner.main`, isolated from the user's Python settings."""
    return [sys.executable, "-I", "-S", "-c", _START, str(_SOURCE), *arguments]
