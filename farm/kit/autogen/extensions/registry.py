# SPDX-License-Identifier: GPL-3.0-or-later
"""Which extensions there are. A new one is one line here."""

from __future__ import annotations

import importlib

from farm.kit.autogen.extensions.protocol import Bench, Extension
from farm.spec.problem import error

EXTENSIONS: dict[str, str] = {
    "golang": "farm.kit.autogen.extensions.golang:Golang",
    "rust": "farm.kit.autogen.extensions.rust:Rust",
    "git-submodules": "farm.kit.autogen.extensions.submodules:Submodules",
    "custom": "farm.kit.autogen.extensions.custom:Custom",
}
"""Name in a specification to ``module:class``; loaded only when used."""


def get_extension(name: str, bench: Bench) -> Extension:
    """A new extension of that name. FarmError ``unknown-extension``, or what its options lack."""
    where = EXTENSIONS.get(name)
    if where is None:
        known = ", ".join(EXTENSIONS)
        raise error("unknown-extension", f"there is no extension {name!r}", hint=f"use one of: {known}")
    module, _, attribute = where.partition(":")
    extension: Extension = getattr(importlib.import_module(module), attribute)(bench)
    return extension
