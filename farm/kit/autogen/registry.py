# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes what a specification names: modules are imported only when they are used."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from farm.spec.problem import error


def make(known: Mapping[str, str], what: str, name: str, argument: object) -> Any:
    """An object of the class that ``known`` (name → ``module:class``) has under ``name``, made with ``argument``.

    FarmError ``unknown-WHAT``, and what the class raises.
    """
    where = known.get(name)
    if where is None:
        raise error(f"unknown-{what}", f"there is no {what} {name!r}", hint=f"use one of: {', '.join(known)}")
    module, _, attribute = where.partition(":")
    return getattr(importlib.import_module(module), attribute)(argument)
