# SPDX-License-Identifier: GPL-3.0-or-later
"""Values as JSON, YAML and TOML (sprig's defaults.go, Helm's engine/funcs.go). Numbers read become floats, as in Go."""

from __future__ import annotations

import json
from typing import Any

from farm.spec.template.jsontext import to_json
from farm.spec.template.registry import define, function
from farm.spec.template.tomltext import to_toml
from farm.spec.template.values import Fault, Value
from farm.spec.template.yamltext import from_yaml, to_yaml


def _from_json(text: str) -> Value:
    try:
        return json.loads(text, parse_int=float, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Fault(f"invalid JSON: {error}") from None


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _map_or_error(value: Value) -> Value:
    if isinstance(value, dict):
        return value
    return {} if value is None else {"Error": "cannot unmarshal a value that is no map into a map"}


def _list_or_error(value: Value) -> Value:
    if isinstance(value, list):
        return value
    return [] if value is None else ["cannot unmarshal a value that is no list into a list"]


@function("fromJson", args="string")
def _from_json_map(text: str) -> Value:
    try:
        return _map_or_error(_from_json(text))
    except Fault as fault:
        return {"Error": fault.message}


@function("fromJsonArray", args="string")
def _from_json_list(text: str) -> Value:
    try:
        return _list_or_error(_from_json(text))
    except Fault as fault:
        return [fault.message]


@function("fromYaml", args="string")
def _from_yaml_map(text: str) -> Value:
    try:
        return _map_or_error(from_yaml(text))
    except Fault as fault:
        return {"Error": fault.message}


@function("fromYamlArray", args="string")
def _from_yaml_list(text: str) -> Value:
    try:
        return _list_or_error(from_yaml(text))
    except Fault as fault:
        return [fault.message]


for _name in ("toJson", "mustToJson"):
    define(_name, "any", to_json)
for _name in ("toPrettyJson", "mustToPrettyJson"):
    define(_name, "any", lambda value: to_json(value, indent="  "))
for _name in ("toRawJson", "mustToRawJson"):
    define(_name, "any", lambda value: to_json(value, escape=False))
define("mustFromJson", "string", _from_json)
define("toYaml", "any", lambda value: to_yaml(value).removesuffix("\n"))
define("mustToYaml", "any", lambda value: to_yaml(value).removesuffix("\n"))
define("toToml", "any", to_toml)
