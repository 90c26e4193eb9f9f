# SPDX-License-Identifier: GPL-3.0-or-later
"""A job read back from its key document."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from farm.plan.job import ArchiveInput, Bind, CopyInput, FileInput, Input, Job

_INPUTS: dict[str, Callable[..., Input]] = {
    "FileInput": FileInput,
    "ArchiveInput": ArchiveInput,
    "CopyInput": CopyInput,
}


def job_of(document: Mapping[str, Any]) -> Job:
    """The job whose key document this is, with default limits. ValueError when it is no job's.

    It runs in its root, also when it is one of the host; binds of folders of the host are not in the document.
    """
    if document.get("kind") != "job":
        raise ValueError(f"not a job: {document.get('kind')}")
    fields = {name: value for name, value in document.items() if name not in ("kind", "version")}
    for name in ("layers", "prelude", "steps"):
        fields[name] = tuple(fields.get(name, ()))
    fields["env"] = tuple((name, value) for name, value in fields.get("env", ()))
    fields["binds"] = tuple(_bind(item) for item in fields.get("binds", ()) if "cache" in item)
    fields["inputs"] = tuple(_input(item) for item in fields.get("inputs", ()))
    if fields.pop("on_host", ""):
        fields["workdir"] = "/"
    return Job(**fields)


def _bind(item: Mapping[str, Any]) -> Bind:
    return Bind(**{name: value for name, value in item.items() if name != "is"})


def _input(item: Mapping[str, Any]) -> Input:
    fields = {name: tuple(value) if isinstance(value, list) else value for name, value in item.items() if name != "is"}
    return _INPUTS[item["is"]](**fields)
