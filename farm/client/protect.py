# SPDX-License-Identifier: GPL-3.0-or-later
"""Config protect: files that the user may have changed are kept, and the new ones put beside them.

Names are portage's and anise's: ``._cfg0001_NAME`` beside ``NAME``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from farm.client.config import ClientConfig
from farm.wagon.metadata import Metadata

_MARK = re.compile(rb"\._cfg(\d{4})_(.+)", re.DOTALL)


class Protection:
    """Folders of a root in which changed files are kept."""

    def __init__(self, folders: Iterable[str] = ()) -> None:
        cleaned = ("/" + folder.strip("/") for folder in folders if folder.strip())
        self._prefixes = tuple(folder.encode("utf-8", "surrogateescape").rstrip(b"/") + b"/" for folder in cleaned)

    def __bool__(self) -> bool:
        return bool(self._prefixes)

    def covers(self, path: bytes) -> bool:
        """Whether the file at ``path`` (no leading slash) lies in one of the folders, or is named as one."""
        return (b"/" + path + b"/").startswith(self._prefixes)


def protection(config: ClientConfig, metadata: Metadata | None = None) -> Protection:
    """What is protected from a package: the configured folders, and the one its annotation ``config_protect`` names."""
    if config.skip_config_protect:
        return Protection()
    own = _annotated(metadata.runtime, metadata.compilespec.get("package")) if metadata else ()
    return Protection((*config.config_protect, *own))


def _annotated(*definitions: Any) -> list[str]:
    """The annotation; the Go client reads it from ``compilespec.package`` only."""
    found = [one.get("annotations") for one in definitions if isinstance(one, Mapping)]
    texts = [one.get("config_protect") for one in found if isinstance(one, Mapping)]
    return [text for text in texts if isinstance(text, str)]


def latest(name: bytes, names: Iterable[bytes]) -> bytes | None:
    """The newest of the files put beside ``name``, among the ``names`` of its folder."""
    found = [(int(match[1]), one) for one in names if (match := _MARK.fullmatch(one)) and match[2] == name]
    return max(found)[1] if found else None


def following(name: bytes, names: Iterable[bytes]) -> bytes:
    """The name for one more file beside ``name``."""
    last = latest(name, names)
    match = _MARK.fullmatch(last) if last else None
    return b"._cfg%04d_%s" % (int(match[1]) + 1 if match else 1, name)
