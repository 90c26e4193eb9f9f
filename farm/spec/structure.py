# SPDX-License-Identifier: GPL-3.0-or-later
"""A JSON Schema made into closures: decides about a document some fifty times faster than ``jsonschema`` does.

It knows the keywords that the farm's own schemas use, and refuses to be made of a schema with others. It says only
yes or no; what is wrong is found out by ``jsonschema`` itself (farm/spec/schema.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

Check = Callable[[Any], bool]

_TYPES: dict[str, Check] = {
    "string": lambda v: v.__class__ is str,
    "null": lambda v: v is None,
    "boolean": lambda v: v is True or v is False,
    "object": lambda v: v.__class__ is dict,
    "array": lambda v: v.__class__ is list,
    "number": lambda v: v.__class__ is int or v.__class__ is float,
    "integer": lambda v: v.__class__ is int or (v.__class__ is float and v.is_integer()),
}
_CLASSES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "null": (type(None),),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
    "number": (int, float),
}
_ANNOTATIONS = {"$schema", "$defs", "title", "description", "x-code", "x-hint"}


def checker(document: dict[str, Any]) -> Check:
    """A predicate that tells whether data satisfies a self-contained schema."""
    made: dict[str, Check] = {}

    def part(reference: str) -> Check:
        if reference not in made:
            made[reference] = lambda value: made[reference](value)
            made[reference] = _compile(resolve(document, reference), part)
        return made[reference]

    return _compile(document, part)


def resolve(document: dict[str, Any], reference: str) -> dict[str, Any]:
    """What ``#/$defs/NAME`` stands for."""
    found: dict[str, Any] = document["$defs"][reference.removeprefix("#/$defs/")]
    return found


def _compile(rules: dict[str, Any], part: Callable[[str], Check]) -> Check:
    """A predicate for one schema. Knows the keywords that our schemas use, and refuses others."""
    checks = [_KEYWORDS[word](rules, part) for word in rules if word not in _ANNOTATIONS]
    checks = list(dict.fromkeys(checks))
    if not checks:
        return lambda _value: True
    if len(checks) == 1:
        return checks[0]
    if len(checks) == 2:
        first, second = checks
        return lambda value: first(value) and second(value)
    return lambda value: all(check(value) for check in checks)


def _type(rules: dict[str, Any], _part: Any) -> Check:
    names = [rules["type"]] if isinstance(rules["type"], str) else rules["type"]
    if "integer" in names:
        return lambda value: any(_TYPES[name](value) for name in names)
    classes = frozenset(c for name in names for c in _CLASSES[name])
    return lambda value: value.__class__ in classes


def _properties(rules: dict[str, Any], part: Callable[[str], Check]) -> Check:
    known = {name: _compile(rule, part) for name, rule in rules.get("properties", {}).items()}
    others = rules.get("additionalProperties", True)
    other = (lambda _value: others) if isinstance(others, bool) else _compile(others, part)
    find = known.get

    def check(value: Any) -> bool:
        if value.__class__ is not dict:
            return True
        return all(find(key, other)(item) for key, item in value.items())

    return check


def _required(rules: dict[str, Any], _part: Any) -> Check:
    names = rules["required"]
    return lambda value: value.__class__ is not dict or all(name in value for name in names)


def _items(rules: dict[str, Any], part: Callable[[str], Check]) -> Check:
    inner = _compile(rules["items"], part)
    return lambda value: value.__class__ is not list or all(map(inner, value))


def _pattern(rules: dict[str, Any], _part: Any) -> Check:
    search = re.compile(python_pattern(rules["pattern"])).search
    return lambda value: value.__class__ is not str or search(value) is not None


def python_pattern(pattern: str) -> str:
    """The same regular expression for Python, whose ``$`` also matches before a line break at the end."""
    return re.sub(r"(?<!\\)\$(?=$|[|)])", r"\\Z", pattern)


def _one_of(rules: dict[str, Any], part: Callable[[str], Check]) -> Check:
    choices = [_compile(rule, part) for rule in rules["oneOf"]]
    return lambda value: sum(choice(value) for choice in choices) == 1


def _min_length(rules: dict[str, Any], _part: Any) -> Check:
    least = rules["minLength"]
    return lambda value: value.__class__ is not str or len(value) >= least


def _minimum(rules: dict[str, Any], _part: Any) -> Check:
    least = rules["minimum"]
    return lambda value: (value.__class__ is not int and value.__class__ is not float) or not value < least


def _enum(rules: dict[str, Any], _part: Any) -> Check:
    choices = rules["enum"]
    return lambda value: value in choices


_KEYWORDS: dict[str, Callable[[dict[str, Any], Callable[[str], Check]], Check]] = {
    "type": _type,
    "properties": _properties,
    "additionalProperties": lambda rules, part: (
        _compile({"properties": {}}, part) if "properties" in rules else _properties(rules, part)
    ),
    "required": _required,
    "items": _items,
    "pattern": _pattern,
    "oneOf": _one_of,
    "minLength": _min_length,
    "minimum": _minimum,
    "enum": _enum,
    "$ref": lambda rules, part: part(rules["$ref"]),
}


def type_name(value: Any) -> str:
    """JSON Schema's name of the most special type that a value has."""
    return next(name for name, check in reversed(_TYPES.items()) if check(value))
