# SPDX-License-Identifier: GPL-3.0-or-later
"""Which generators there are. A new one is one line here."""

from __future__ import annotations

import importlib

from farm.kit.autogen.generators.protocol import Generator, Surroundings
from farm.spec.problem import error

GENERATORS: dict[str, str] = {
    "builtin-github": "farm.kit.autogen.generators.github:GitHub",
    "builtin-gitlab": "farm.kit.autogen.generators.gitlab:GitLab",
    "builtin-forgejo": "farm.kit.autogen.generators.forgejo:Forgejo",
    "builtin-dirlisting": "farm.kit.autogen.generators.dirlisting:DirectoryListing",
    "builtin-json": "farm.kit.autogen.generators.jsonquery:JsonDocument",
    "builtin-pypi": "farm.kit.autogen.generators.pypi:PyPI",
    "builtin-noop": "farm.kit.autogen.generators.noop:Noop",
    "custom": "farm.kit.autogen.generators.custom:Custom",
}
"""Name in a specification to ``module:class``; loaded only when used."""


def get_generator(name: str, surroundings: Surroundings) -> Generator:
    """A new generator of that name. FarmError ``unknown-generator``, or what its options lack."""
    where = GENERATORS.get(name)
    if where is None:
        known = ", ".join(GENERATORS)
        raise error("unknown-generator", f"there is no generator {name!r}", hint=f"use one of: {known}")
    module, _, attribute = where.partition(":")
    generator: Generator = getattr(importlib.import_module(module), attribute)(surroundings)
    return generator
