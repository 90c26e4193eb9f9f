# SPDX-License-Identifier: GPL-3.0-or-later
"""Which extensions there are. A new one is one line here."""

from __future__ import annotations

from farm.kit.autogen.extensions.protocol import Bench, Extension
from farm.kit.autogen.registry import make

EXTENSIONS: dict[str, str] = {
    "golang": "farm.kit.autogen.extensions.golang:Golang",
    "rust": "farm.kit.autogen.extensions.rust:Rust",
    "git-submodules": "farm.kit.autogen.extensions.submodules:Submodules",
    "custom": "farm.kit.autogen.extensions.custom:Custom",
}
"""Name in a specification to ``module:class``; loaded only when used."""


def get_extension(name: str, bench: Bench) -> Extension:
    """A new extension of that name. FarmError ``unknown-extension``, or what its options lack."""
    made: Extension = make(EXTENSIONS, "extension", name, bench)
    return made
