# SPDX-License-Identifier: GPL-3.0-or-later
"""mark-devkit's configuration: where it is, and what it says (``contrib/config.yml`` of mark-devkit).

``-c`` or ``MARKDEVKIT_CONFIG``, else ``mark-devkit.yml`` (or ``.yaml``) in the working directory. It tells how to
download and to log, which the farm does in its own way.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from farm.spec.document import open_source
from farm.spec.problem import FarmError, Problem
from farm.spec.yamltext import parse


def config_file(path: Path | None, environ: Mapping[str, str] = os.environ) -> Path | None:
    """The configuration's file: that of the command line, ``MARKDEVKIT_CONFIG``'s, or the current folder's."""
    named = path or (Path(environ["MARKDEVKIT_CONFIG"]) if environ.get("MARKDEVKIT_CONFIG") else None)
    return named or next((p for p in (Path("mark-devkit.yml"), Path("mark-devkit.yaml")) if p.is_file()), None)


def read_config(path: Path | None, environ: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """The configuration, {} where there is none. FarmError ``unreadable-file``, ``bad-yaml``, ``wrong-type``."""
    found = config_file(path, environ)
    if found is None:
        return {}
    source, problems = open_source(str(found))
    if source is None:
        raise FarmError(problems)
    parsed = parse(source.text, source.path)
    if errors := [problem for problem in parsed.problems if problem.severity == "error"]:
        raise FarmError(errors)
    if not isinstance(parsed.data, dict | None):
        raise FarmError(Problem("wrong-type", "the configuration must be a mapping", parsed.place(())))
    return parsed.data or {}
