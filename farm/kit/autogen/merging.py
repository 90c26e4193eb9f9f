# SPDX-License-Identifier: GPL-3.0-or-later
"""How a package's own keys and its definition's defaults become one mapping. Pure; the rules are mark-devkit's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_BY_KEY = frozenset(("github", "gitlab", "forgejo", "dir", "json", "pydeps", "vars"))
_NESTED = frozenset(("params", "map_filter_vars"))
_APPENDED = frozenset(("extensions", "pydeps_ignore"))


def merged(defaults: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """``own`` over ``defaults``.

    Mappings are merged key by key, ``extensions`` and ``pydeps_ignore`` are joined without doubles, all else is
    replaced. What is empty (an empty text or list, null) replaces nothing, but in ``vars``, where ``""`` is a value.
    """
    result = {key: value for key, value in defaults.items() if value is not None}
    for key, value in own.items():
        if _is_empty(value):
            continue
        before = result.get(key)
        if key in _APPENDED and before:
            result[key] = list(dict.fromkeys([*before, *value]))
        elif key in _BY_KEY and before:
            result[key] = _keys(before, value, keep_empty=key == "vars")
        else:
            result[key] = value
    return result


def _keys(before: Mapping[str, Any], value: Mapping[str, Any], *, keep_empty: bool) -> dict[str, Any]:
    result = dict(before)
    for key, inner in value.items():
        if key in _NESTED and result.get(key) and inner:
            result[key] = {**result[key], **inner}
        elif keep_empty or not _is_empty(inner):
            result[key] = inner
    return result


def _is_empty(value: Any) -> bool:
    return value is None or value == "" or value == [] or value == {}
