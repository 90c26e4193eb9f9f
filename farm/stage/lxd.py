# SPDX-License-Identifier: GPL-3.0-or-later
"""A unified image tarball of LXD and Incus: ``metadata.yaml``, ``rootfs/`` and ``templates/``.

Source of the format: LXD's doc/reference/image_format.md.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from farm.store.entry import FILE, FOLDER, Entry

TEMPLATES: Mapping[str, bytes] = {"hostname.tpl": b"{{ container.name }}\n"}
"""Files of ``templates/`` (pongo2), which ``metadata.yaml`` refers to."""

_ROOT = b"rootfs"


def lxd_entries(root: Iterator[Entry], metadata: Mapping[str, Any], scratch: Path) -> Iterator[Entry]:
    """The entries of the tarball, whose root is ``root``. The files around it are written to ``scratch``."""
    time = int(metadata["creation_date"])
    yield _file(b"metadata.yaml", metadata_text(metadata), time, scratch)
    yield _folder(_ROOT, time)
    yield from map(_below, root)
    yield _folder(b"templates", time)
    for name, content in sorted(TEMPLATES.items()):
        yield _file(b"templates/" + os.fsencode(name), content, time, scratch)


def metadata_text(metadata: Mapping[str, Any]) -> bytes:
    """``metadata.yaml``."""
    import yaml

    text: str = yaml.safe_dump(dict(metadata), sort_keys=True, default_flow_style=False, allow_unicode=True)
    return text.encode()


def _file(path: bytes, content: bytes, mtime: int, scratch: Path) -> Entry:
    source = scratch / path.decode().replace("/", "-")
    source.write_bytes(content)
    entry = Entry(path, FILE, 0o644, mtime=mtime)
    entry.size = len(content)
    entry.source = os.fsencode(source)
    return entry


def _folder(path: bytes, mtime: int) -> Entry:
    return Entry(path, FOLDER, 0o755, mtime=mtime)


def _below(entry: Entry) -> Entry:
    entry.path = _ROOT + b"/" + entry.path
    return entry
