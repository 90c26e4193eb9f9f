# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes to the user's own files: repositories on or off, subsets enabled. The rest of a file stays as it is."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import yaml

from farm.client.config import ClientConfig, RepositoryConfig
from farm.client.configfile import read_document
from farm.spec.problem import FarmError, Problem, error

_ENABLE = re.compile(r"(?m)^enable[ \t]*:[^#\n]*?([ \t]*#[^\n]*)?$")


def switch_repository(repository: RepositoryConfig, on: bool) -> None:
    """Writes ``enable`` into the repository's file. FarmError ``inline-repository``, ``unwritable-config``."""
    if not repository.file:
        hint = "change it there, or move it to a file in repos_confdir"
        raise error("inline-repository", f"{repository.name} is configured in the main configuration file", hint=hint)
    path = Path(repository.file)
    text = path.read_text()
    line = f"enable: {'true' if on else 'false'}"
    changed, count = _ENABLE.subn(lambda found: line + (found[1] or ""), text, count=1)
    _write(path, changed if count else f"{text.rstrip()}\n{line}\n")


def enable_subsets(config: ClientConfig, names: Sequence[str], file: str = "") -> list[str]:
    """Adds subsets to ``FILE.yml`` (``main.yml``) in the first subsets folder; those that were not in it."""
    return _change_subsets(config, file, lambda before: [*before, *(name for name in names if name not in before)])


def disable_subsets(config: ClientConfig, names: Sequence[str], file: str = "") -> list[str]:
    """Takes subsets out of that file; those that were in it."""
    return _change_subsets(config, file, lambda before: [name for name in before if name not in names])


def _change_subsets(config: ClientConfig, file: str, change: Callable[[list[str]], list[str]]) -> list[str]:
    if not config.subsets_dirs:
        raise error("no-subsets-folder", "no folder for subsets is configured", hint="set subsets_confdir")
    if "/" in file:
        raise error("bad-file-name", f"{file!r} is no name of a file", hint="write it without folder and ending")
    path = config.subsets_dirs[0] / f"{file or 'main'}.yml"
    problems: list[Problem] = []
    data = read_document(path, problems) if path.exists() else {}
    if problems:
        raise FarmError(problems)
    before = [str(name) for name in data.get("enabled") or []]
    after = change(list(dict.fromkeys(before)))
    if after != before:
        _write(path, yaml.safe_dump({**data, "enabled": after}, sort_keys=False))
    return sorted(set(before) ^ set(after))


def _write(path: Path, text: str) -> None:
    """Replaces a file in one step; it keeps its mode."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        mode = path.stat().st_mode & 0o7777 if path.exists() else 0o644
        fd, new = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
        with open(fd, "w") as out:
            out.write(text)
            os.fchmod(out.fileno(), mode)
            out.flush()
            os.fsync(out.fileno())
        Path(new).replace(path)
    except OSError as fault:
        raise error("unwritable-config", f"{path} cannot be written: {fault.strerror}") from fault
