# SPDX-License-Identifier: GPL-3.0-or-later
"""A metro job and its run as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from farm.plan.node import Result
from farm.stage.metro.run import Ready


def output_of(prepared: Ready, made: Mapping[str, Result]) -> dict[str, Any]:
    """The tarball that was made: ``file``, ``size`` in bytes, ``sha256``. Empty: none was."""
    result = made.get(prepared.planned.tarball)
    if result is None or result.blob is None:
        return {}
    return {"file": str(prepared.job.output.file), "size": result.size, "sha256": result.blob}
