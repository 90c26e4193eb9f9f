# SPDX-License-Identifier: GPL-3.0-or-later
"""sprig's dict.go. ``keys`` and ``values`` are sorted by key, where Go's order is random."""

from __future__ import annotations

from typing import Any

from farm.spec.template.printing import text_of
from farm.spec.template.registry import define, function
from farm.spec.template.values import Fault, Value, deep_copy, is_true, sorted_keys, type_of, weigh

Map = dict[str, Any]


@function("dict", args="*any")
def _dict(*values: Value) -> Map:
    padded = values if len(values) % 2 == 0 else (*values, "")
    return {text_of(padded[i]): padded[i + 1] for i in range(0, len(padded), 2)}


@function("set", args="map string any", mutates=True)
def _set(mapping: Map, key: str, value: Value) -> Map:
    mapping[key] = value
    return mapping


@function("unset", args="map string", mutates=True)
def _unset(mapping: Map, key: str) -> Map:
    mapping.pop(key, None)
    return mapping


@function("pluck", args="string *map")
def _pluck(key: str, *mappings: Map) -> Value:
    return [mapping[key] for mapping in mappings if key in mapping]


@function("keys", args="*map")
def _keys(*mappings: Map) -> Value:
    return [key for mapping in mappings for key in sorted_keys(mapping)]


@function("pick", args="map *string")
def _pick(mapping: Map, *keys: str) -> Map:
    return {key: mapping[key] for key in keys if key in mapping}


@function("omit", args="map *string")
def _omit(mapping: Map, *keys: str) -> Map:
    return {key: value for key, value in mapping.items() if key not in keys}


@function("dig", args="*any")
def _dig(*values: Value) -> Value:
    if len(values) < 3:
        raise Fault("dig needs at least three arguments")
    *keys, fallback, value = values
    for key in keys:
        if not isinstance(value, dict):
            raise Fault(f"dig: {type_of(value)} is not a map")
        if not isinstance(key, str):
            raise Fault(f"dig: key of type {type_of(key)}; should be string")
        if key not in value:
            return fallback
        value = value[key]
    return value


def _merge(target: Map, source: Map, overwrite: bool) -> None:
    """mergo.Merge of github.com/imdario/mergo, as sprig calls it."""
    for key, value in source.items():
        present = target.get(key)
        if value is None:
            if overwrite:
                target[key] = None
        elif isinstance(value, dict) and isinstance(present, dict) and present is not value:
            if present or overwrite:
                _merge(present, value, overwrite)
            else:
                target[key] = value
        elif isinstance(value, dict) and is_true(present):
            continue
        elif overwrite or not is_true(present):
            target[key] = value


def _merged(mappings: tuple[Map, ...], overwrite: bool) -> Map:
    target, *sources = mappings
    for source in sources:
        weigh(source)
        _merge(target, source, overwrite)
    return target


@function("merge", "mustMerge", args="map *map", mutates=True)
def _merge_all(*mappings: Map) -> Map:
    return _merged(mappings, False)


@function("mergeOverwrite", "mustMergeOverwrite", args="map *map", mutates=True)
def _merge_overwrite(*mappings: Map) -> Map:
    return _merged(mappings, True)


@function("deepCopy", "mustDeepCopy", args="any")
def _deep_copy(value: Value) -> Value:
    weigh(value)
    return deep_copy(value)


define("get", "map string", lambda mapping, key: mapping.get(key, ""))
define("hasKey", "map string", lambda mapping, key: key in mapping)
define("values", "map", lambda mapping: [mapping[key] for key in sorted_keys(mapping)])
