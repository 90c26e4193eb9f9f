# SPDX-License-Identifier: GPL-3.0-or-later
"""Which generators there are. A new one is one line here."""

from __future__ import annotations

from farm.kit.autogen.generators.protocol import Generator, Surroundings
from farm.kit.autogen.registry import make

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
    made: Generator = make(GENERATORS, "generator", name, surroundings)
    return made
