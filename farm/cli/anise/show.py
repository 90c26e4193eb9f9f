# SPDX-License-Identifier: GPL-3.0-or-later
"""How the client writes: changes, packages, plain data."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from farm.client.change import Change
    from farm.client.config import RepositoryConfig
    from farm.client.query import Stone
    from farm.wagon.repository import Repository

_MARKS = {"N": "green", "U": "cyan", "R": "cyan", "D": "yellow"}
_TIMES = 1_000_000_000


def print_data(value: Any, kind: str) -> None:
    """One document on standard output; ``kind`` is json or yaml."""
    if kind == "json":
        click.echo(json.dumps(value, ensure_ascii=False, separators=(",", ":")))
        return
    import yaml

    click.echo(yaml.safe_dump(value, sort_keys=False, allow_unicode=True))


def print_change(change: Change) -> None:
    """A line for each package: ``[N]`` new, ``[U]`` another version, ``[R]`` the same again, ``[D]`` goes."""
    lines = [
        _line("D", one.id.atom, one.repository, one.id.version, change.reasons.get(one.id, "")) for one in change.remove
    ]
    before = {after.id: old for old, after in change.replace}
    for one in change.arrivals:
        old = before.get(one.id)
        mark = "N" if old is None else "U" if old.id != one.id else "R"
        note = f"[{old.id.version}]" if old is not None and mark == "U" else change.reasons.get(one.id, "")
        lines.append(_line(mark, one.id.atom, one.repository.name, one.id.version, note))
    click.echo("\n".join(lines))


def print_stones(stones: Sequence[Stone], *, quiet: bool, table: bool) -> None:
    """Packages as ``category/name-version``, as ``category/name`` each once, or as a table."""
    if table:
        rows = [("PACKAGE", "VERSION", "REPOSITORY"), *((s.id.atom, s.id.version, s.repository) for s in stones)]
        click.echo(_table(rows))
    elif quiet:
        _lines(dict.fromkeys(stone.id.atom for stone in stones))
    else:
        _lines(str(stone.id) for stone in stones)


def identity_line(repository: RepositoryConfig, identity: Repository, note: str = "") -> str:
    """``🏠 Repository:   name Revision:  88 - 2023-04-21 16:15:48 +0000 UTC``."""
    name = click.style(f"{repository.name:>30}", fg="red", bold=True)
    revision = click.style(f"{identity.revision:3}", fg="green", bold=True)
    made = f" - {when(identity.last_update)}" if when(identity.last_update) else ""
    return f"🏠 Repository: {name} Revision: {revision}{made}{note}"


def when(last_update: str) -> str:
    """Seconds since 1970 as a date; empty for what is no time (wagons of the farm have none)."""
    if not last_update.isascii() or not last_update.isdigit() or int(last_update) < _TIMES:
        return ""
    return time.strftime("%Y-%m-%d %H:%M:%S +0000 UTC", time.gmtime(min(int(last_update), 1 << 36)))


def _line(mark: str, atom: str, repository: str, version: str, note: str) -> str:
    name = f"{atom}::{repository}" if repository else atom
    styled = click.style(mark, fg=_MARKS[mark], bold=True)
    return f"[{styled}] {name:50} {version} {note}".rstrip()


def _lines(texts: Iterable[str]) -> None:
    for text in texts:
        click.echo(text)


def _table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "|".join("-" * (w + 2) for w in widths) + "|", *lines[1:]])
