# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong inside a document: errors of ``jsonschema`` told in the user's words."""

from __future__ import annotations

import dataclasses
import difflib
from typing import Any

from farm.spec.structure import type_name


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong with a document. ``path`` leads to the value, or, where ``at_key``, to the key, at fault."""

    code: str
    message: str
    hint: str
    path: tuple[str | int, ...]
    at_key: bool = False


def nearest(word: str, known: list[str]) -> str | None:
    """The known word that ``word`` most probably was meant to be, if any."""
    close = difflib.get_close_matches(word.lower().replace("-", "_"), known, 1, 0.7)
    close = close or difflib.get_close_matches(word.lower().replace("_", "-"), known, 1, 0.7)
    return close[0] if close else None


_NAMES = {
    "string": "text",
    "null": "nothing",
    "boolean": "true or false",
    "object": "a mapping",
    "array": "a list",
    "number": "a number",
    "integer": "a whole number",
}


def findings_of(e: Any) -> list[Finding]:
    """What a ``jsonschema`` ValidationError says, in our words; one error may be several findings."""
    path = tuple(e.absolute_path)
    rules = e.schema if isinstance(e.schema, dict) else {}
    hint = rules.get("x-hint", "")
    shown = _shown(path)
    match e.validator:
        case "additionalProperties":
            return [_unknown(key, path, rules) for key in e.instance if key not in rules.get("properties", ())]
        case "required":
            missing = [name for name in e.validator_value if name not in e.instance]
            return [_missing(name, path, shown) for name in missing if f"{name!r}" in e.message]
        case "type":
            names = [e.validator_value] if isinstance(e.validator_value, str) else e.validator_value
            wanted = " or ".join(_NAMES[n] for n in names if n != "null")
            message = f"{shown} must be {wanted}, not {_NAMES[type_name(e.instance)]}"
            return [Finding("wrong-type", message, hint or _type_hint(names, e.instance), path)]
        case "minLength":
            return [Finding("empty-value", f"{shown} is empty", hint, path)]
        case "oneOf":
            return _one_of_findings(e, path, shown, hint)
    code = rules.get("x-code", "bad-value")
    if e.validator == "enum":
        hint = "one of: " + ", ".join(str(v) for v in e.validator_value if v is not None)
    return [Finding(code, f"{shown}: {_short(e.instance)} is not allowed here", hint, path)]


def _one_of_findings(e: Any, path: tuple[str | int, ...], shown: str, hint: str) -> list[Finding]:
    """What is wrong with the only choice of the value's own type, if there is such; else that no choice fits."""
    inner = [c for c in e.context if c.validator not in ("type", "required") or len(c.absolute_path) > len(path)]
    missing = [c for c in e.context if c.validator == "required"]
    if inner or (len(missing) == 1 and len(e.validator_value) == 2):
        return [f for c in inner + missing for f in findings_of(c)]
    return [Finding("bad-value", f"{shown} is none of what is allowed here", hint, path)]


def _unknown(key: str, path: tuple[str | int, ...], rules: dict[str, Any]) -> Finding:
    near = nearest(key, list(rules.get("properties", ())))
    hint = f"did you mean {near!r}?" if near else "known: " + ", ".join(rules.get("properties", ()))
    return Finding("unknown-key", f"unknown key {_shown((*path, key))}", hint, (*path, key), at_key=True)


def _missing(name: str, path: tuple[str | int, ...], shown: str) -> Finding:
    code, hint = "missing-key", f"add {name}:"
    if name == "sha256":
        code, hint = "source-without-sha256", "add sha256: as `sha256sum FILE` prints it; sources are always verified"
    where = f" in {shown}" if path else ""
    return Finding(code, f"{name} is missing{where}", hint, path)


def _type_hint(names: list[str], value: Any) -> str:
    if "string" in names and isinstance(value, bool | int | float):
        return "put it in quotes"
    if "array" in names and isinstance(value, str):
        return "write a list: - and the text"
    if "string" in names and value is None:
        return "write some text, or remove the line"
    return ""


def _shown(path: tuple[str | int, ...]) -> str:
    text = "".join(f"[{step + 1}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.lstrip(".") or "the file"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
