# SPDX-License-Identifier: GPL-3.0-or-later
"""Hooks files: rendered as a whole, then parsed and checked, with every place brought back to the template."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from farm.spec.document import Rendered, open_source, render_document
from farm.spec.problem import Problem
from farm.spec.yamltext import TEXT
from farm.stage.metro.model import Bind, Hook
from farm.stage.metro.specfile import BINDS, structure, unknown_keys

_HOOK = {
    **dict.fromkeys(("name", "description", "type"), TEXT),
    "commands": [TEXT],
    "entrypoint": [TEXT],
    "chroot_binds": BINDS,
}
_SHAPE: dict[str, Any] = {"hooks": [_HOOK]}


def read_hooks(path: Path, options: Mapping[str, Any], *, first: int) -> tuple[list[Hook], list[Problem]]:
    """The hooks of a file, numbered from ``first``, and what is wrong with them or only odd."""
    source, problems = open_source(str(path))
    if source is None:
        return [], problems
    rendered = render_document(source, options, (), _SHAPE)
    problems = [problem for problem in rendered.problems if problem.code != "impure-template"]
    problems += structure(rendered, "metro-hooks")
    if any(problem.severity == "error" for problem in problems):
        return [], problems
    written = rendered.data.get("hooks") or []
    hooks = [_hook(rendered, index, data, first + index, path) for index, data in enumerate(written)]
    return hooks, [*problems, *_odd(rendered, hooks, written)]


def _hook(rendered: Rendered, index: int, data: Mapping[str, Any], number: int, path: Path) -> Hook:
    at = ("hooks", index)
    binds = [
        Bind(bind["source"], bind["target"], rendered.parsed.place((*at, "chroot_binds", i, "source")))
        for i, bind in enumerate(data.get("chroot_binds") or ())
    ]
    return Hook(
        number,
        data.get("name") or f"{path.stem}-{index + 1}",
        data.get("type") or "inner-chroot",
        tuple(data.get("commands") or ()),
        tuple(data.get("entrypoint") or ()),
        tuple(binds),
        data.get("description") or "",
        rendered.parsed.place(at),
    )


def _odd(rendered: Rendered, hooks: list[Hook], written: list[Any]) -> list[Problem]:
    """What does no harm, but was hardly meant."""
    found: list[Problem] = []
    for index, (hook, data) in enumerate(zip(hooks, written, strict=True)):
        part = "properties/hooks/items"
        found += unknown_keys(rendered.parsed, "metro-hooks", part, ("hooks", index), data)
        if not hook.commands:
            message = f"hook {hook.name} has no commands"
            found.append(Problem("no-commands", message, hook.place, "add commands:", "warning"))
        if hook.binds and hook.on_host:
            message = f"hook {hook.name} runs on the host: its chroot_binds have no meaning"
            found.append(Problem("binds-on-host", message, hook.place, severity="warning"))
    return found
