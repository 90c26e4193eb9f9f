# SPDX-License-Identifier: GPL-3.0-or-later
"""The functions that Go's text/template has itself (funcs.go), and Helm's include, tpl, required and lookup."""

from __future__ import annotations

import urllib.parse

from farm.spec.template.printf import sprintf
from farm.spec.template.printing import NO_VALUE, sprint, text_of
from farm.spec.template.registry import Site, define, function
from farm.spec.template.values import Fault, Value, deep_equal, is_true, kind_of, to_bytes, type_of

_BASIC = {"bool": "bool", "int": "int", "int64": "int", "float64": "float", "string": "string"}


def _basic(value: Value) -> str:
    return _BASIC.get(kind_of(value), "")


def _equal(left: Value, right: Value) -> bool:
    one, other = _basic(left), _basic(right)
    if one != other:
        if left is None or right is None:
            return False
        raise Fault(f"incompatible types for comparison: {type_of(left)} and {type_of(right)}")
    if one:
        return bool(left == right)
    if left is None or right is None:
        return left is right
    if kind_of(left) == kind_of(right) == "struct":
        return deep_equal(left, right)
    raise Fault(f"non-comparable type {type_of(left)}", "deepEqual compares lists and maps")


@function("eq", args="any *any")
def _eq(left: Value, *others: Value) -> bool:
    if not others:
        raise Fault("missing argument for comparison")
    return any(_equal(left, other) for other in others)


@function("ne", args="any any")
def _ne(left: Value, right: Value) -> bool:
    return not _equal(left, right)


def _less(left: Value, right: Value) -> bool:
    one, other = _basic(left), _basic(right)
    if not one or not other:
        raise Fault(f"invalid type for comparison: {type_of(left if not one else right)}")
    if one != other:
        raise Fault(f"incompatible types for comparison: {type_of(left)} and {type_of(right)}")
    if one == "bool":
        raise Fault("invalid type for comparison: bool")
    return bool(to_bytes(left) < to_bytes(right) if one == "string" else left < right)


@function("lt", args="any any")
def _lt(left: Value, right: Value) -> bool:
    return _less(left, right)


@function("le", args="any any")
def _le(left: Value, right: Value) -> bool:
    return _less(left, right) or _equal(left, right)


@function("gt", args="any any")
def _gt(left: Value, right: Value) -> bool:
    return not _le(left, right)


@function("ge", args="any any")
def _ge(left: Value, right: Value) -> bool:
    return not _less(left, right)


@function("not", args="any")
def _not(value: Value) -> bool:
    return not is_true(value)


@function("and", "or", args="any *any")
def _and_or(*values: Value) -> Value:
    raise NotImplementedError("and, or are compiled, so that they evaluate no further than needed")


@function("len", args="any")
def _len(value: Value) -> int:
    if isinstance(value, str):
        return len(value) if value.isascii() else len(to_bytes(value))
    if isinstance(value, (list, tuple, dict)):
        return len(value)
    raise Fault("len of nil pointer" if value is None else f"len of type {type_of(value)}")


@function("index", args="any *any")
def _index(value: Value, *keys: Value) -> Value:
    if value is None:
        raise Fault("index of untyped nil", "the value is not set: set it, or use `default dict`")
    for key in keys:
        if value is None:
            raise Fault("index of nil pointer")
        value = _item(value, key)
    return value


def _item(value: Value, key: Value) -> Value:
    if isinstance(value, dict):
        if not isinstance(key, str) and key not in value:
            raise Fault(f"value has type {type_of(key)}; should be string")
        return value.get(key)
    if not isinstance(value, (list, tuple, str)):
        raise Fault(f"can't index item of type {type_of(value)}")
    if isinstance(key, bool) or not isinstance(key, int):
        what = "nil" if key is None else f"type {type_of(key)}"
        raise Fault(f"cannot index slice/array with {what}")
    items = to_bytes(value) if isinstance(value, str) else value
    if not 0 <= key < len(items):
        raise Fault(f"index out of range: {key}", f"it has {len(items)} elements, counted from 0")
    return items[key]


@function("print", args="*any")
def _print(*values: Value) -> str:
    return sprint(values)


@function("println", args="*any")
def _println(*values: Value) -> str:
    return " ".join(map(text_of, values)) + "\n"


@function("printf", args="string *any")
def _printf(template: str, *values: Value) -> str:
    return sprintf(template, values)


@function("call", args="any *any")
def _call(value: Value, *_: Value) -> Value:
    raise Fault("call of nil" if value is None else f"non-function of type {type_of(value)}")


def _arguments_text(values: tuple[Value, ...]) -> str:
    return sprint([NO_VALUE if value is None else value for value in values])


_HTML = str.maketrans({'"': "&#34;", "'": "&#39;", "&": "&amp;", "<": "&lt;", ">": "&gt;", "\0": "\ufffd"})
_JS_PLAIN = {"\\": "\\\\", "'": "\\'", '"': '\\"', "<": "\\u003C", ">": "\\u003E", "&": "\\u0026", "=": "\\u003D"}


@function("html", args="*any")
def _html(*values: Value) -> str:
    return _arguments_text(values).translate(_HTML)


def _js_char(char: str) -> str:
    if char in _JS_PLAIN:
        return _JS_PLAIN[char]
    if " " <= char < "\x7f" or (char >= "\x80" and char.isprintable()):
        return char
    return char if char == "\x7f" else f"\\u{ord(char):04X}"


@function("js", args="*any")
def _js(*values: Value) -> str:
    return "".join(map(_js_char, _arguments_text(values)))


@function("urlquery", args="*any")
def _urlquery(*values: Value) -> str:
    return urllib.parse.quote_plus(to_bytes(_arguments_text(values)), safe="")


@function("include", args="string any", site=True)
def _include(site: Site, name: str, data: Value) -> str:
    return site.include(name, data)


@function("tpl", args="string any", site=True, mutates=True)
def _tpl(site: Site, text: str, data: Value) -> str:
    return site.evaluate(text, data)


@function("required", args="string any")
def _required(message: str, value: Value) -> Value:
    if value is None or value == "":
        raise Fault(message)
    return value


@function("fail", args="string")
def _fail(message: str) -> Value:
    raise Fault(message)


define("lookup", "string string string string", lambda *_: {})
define("getHostByName", "string", lambda _: "")
define("hello", "", lambda: "Hello!")
