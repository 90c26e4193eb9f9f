# SPDX-License-Identifier: GPL-3.0-or-later
"""What differs between two key documents, field by field: the answer to "why was this rebuilt?"."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any


@dataclasses.dataclass(frozen=True, slots=True)
class Difference:
    """One field: None stands for "not there"."""

    field: str
    old: Any
    new: Any

    def __str__(self) -> str:
        if self.old is None:
            return f"{self.field}: added {_short(self.new)}"
        if self.new is None:
            return f"{self.field}: removed {_short(self.old)}"
        return f"{self.field}: {_short(self.old)} -> {_short(self.new)}"


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Difference]:
    """All fields that differ, in the order of the documents."""
    return list(_compare("", _named(old), _named(new)))


def _compare(path: str, old: Any, new: Any) -> Iterator[Difference]:
    if isinstance(old, dict) and isinstance(new, dict):
        for name in dict.fromkeys([*old, *new]):
            yield from _compare(f"{path}.{name}" if path else name, old.get(name), new.get(name))
    elif old != new:
        yield Difference(path, old, new)


def _named(value: Any) -> Any:
    """Lists as maps, so that an inserted entry does not make all behind it differ.

    Inputs are named by where they are put, environment entries by their name, others by their position.
    """
    if isinstance(value, Mapping):
        return {name: _named(item) for name, item in value.items()}
    if not isinstance(value, list | tuple):
        return value
    if value and all(isinstance(item, Mapping) and "dest" in item for item in value):
        return {item["dest"]: _named({k: v for k, v in item.items() if k != "dest"}) for item in value}
    if value and all(isinstance(item, list | tuple) and len(item) == 2 for item in value):
        return dict(value)
    return {f"[{i}]": _named(item) for i, item in enumerate(value)}


def _short(value: Any) -> str:
    if isinstance(value, str) and len(value) == 64 and all(c in "0123456789abcdef" for c in value):
        return value[:12]
    text = value if isinstance(value, str) else str(value)
    text = text.replace("\n", "\\n")
    return repr(text) if len(text) <= 60 else repr(text[:57]) + "…"
