# SPDX-License-Identifier: GPL-3.0-or-later
"""A spec's step as the text that ``sh -c`` gets.

Steps of old trees were lines of a Dockerfile. Its parser drops comment lines and empty lines inside a command
that is continued by a backslash, and takes a JSON list as a command without a shell.
"""

from __future__ import annotations

import json
import re
import shlex

_CONTINUED = re.compile(r"\\[ \t]*$")


def shell_text(step: str) -> str:
    """What ``sh -c`` has to run for ``step``."""
    text = step.strip("\n")
    if words := _exec_form(text):
        return "exec " + shlex.join(words)
    lines: list[str] = []
    continued = False
    for line in text.split("\n"):
        bare = line.strip()
        if continued and (not bare or bare.startswith("#")):
            continue
        continued = bool(_CONTINUED.search(line))
        lines.append(_CONTINUED.sub(r"\\", line) if continued else line)
    return "\n".join(lines)


def _exec_form(text: str) -> list[str] | None:
    if not text.lstrip().startswith("["):
        return None
    try:
        words = json.loads(text)
    except ValueError:
        return None
    return words if words and all(isinstance(word, str) for word in words) else None
