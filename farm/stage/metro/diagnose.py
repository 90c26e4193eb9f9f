# SPDX-License-Identifier: GPL-3.0-or-later
"""A rendered job as mark-devkit's ``diagnose job`` prints it (``JobRendered`` in its ``pkg/specs``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from farm.stage.metro.model import Bind, Hook, HttpSource, Job


def as_json(job: Job) -> dict[str, Any]:
    """The job's keys, and ``hooks``. The output is there twice: mark-devkit calls it ``omitempty`` by mistake."""
    data = _job(job)
    if "output" in data:
        data["omitempty"] = data["output"]
    return {**data, "hooks": _files(job)}


def as_yaml(job: Job) -> str:
    """The job below ``job:``, and ``hooks``."""
    import yaml

    document = {"job": _job(job), "hooks": _files(job)}
    text: str = yaml.dump(document, Dumper=_dumper(), sort_keys=False, allow_unicode=True, width=1 << 20, indent=4)
    return text


def _job(job: Job) -> dict[str, Any]:
    written = dict(job.written)
    source = dict(written.get("source") or {})
    if isinstance(job.source, HttpSource):
        source |= {"uri": job.source.uri, "target": str(job.source.target)}
    output = {**(written.get("output") or {}), "name": job.output.name, "dir": str(job.output.folder)}
    order = ("name", "source", "output", "options", "environments", "chroot_binds")
    known = {**written, "source": source, "output": output, "workspacedir": str(job.workspace)}
    shown = {key: known[key] for key in (*order, "workspacedir", "hooks_basedir", "hooks_files") if known.get(key)}
    return {**shown, **{key: value for key, value in known.items() if key not in shown and value}}


def _files(job: Job) -> list[dict[str, Any]]:
    """Hooks file by file: mark-devkit shows them so."""
    files: dict[str, list[dict[str, Any]]] = {}
    for hook in job.hooks:
        files.setdefault(hook.place.file, []).append(_hook(hook))
    return [{"hooks": hooks} for hooks in files.values()]


def _hook(hook: Hook) -> dict[str, Any]:
    shown: Mapping[str, Any] = {
        "name": hook.name,
        "description": hook.description,
        "type": hook.type,
        "commands": list(hook.commands),
        "entrypoint": list(hook.entrypoint),
        "chroot_binds": [_bind(bind) for bind in hook.binds],
    }
    return {key: value for key, value in shown.items() if value}


def _bind(bind: Bind) -> dict[str, str]:
    return {"source": bind.source, "target": bind.target}


def _dumper() -> Any:
    """Texts of several lines are written as blocks."""
    import yaml

    class Dumper(yaml.SafeDumper):
        """One of its own, so that nobody else's output changes."""

        def ignore_aliases(self, data: Any) -> bool:
            """No anchors: they are no use to a reader."""
            return True

    def text(dumper: yaml.SafeDumper, data: str) -> yaml.Node:
        style = "|" if "\n" in data and not any(line.endswith(" ") for line in data.split("\n")) else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", data, style=style)

    Dumper.add_representer(str, text)
    return Dumper
