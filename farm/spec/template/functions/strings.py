# SPDX-License-Identifier: GPL-3.0-or-later
"""sprig's strings.go: cutting, joining, testing and quoting text. Lengths count bytes, as Go's do."""

from __future__ import annotations

from farm.spec.template.printing import quoted, text_of
from farm.spec.template.registry import define, function
from farm.spec.template.state import MAX_SIZE
from farm.spec.template.values import Fault, Value, bytewise

SPACE = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005"
    "\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
"""Go's unicode.IsSpace."""


def bounded(length: int) -> None:
    """Raise Fault before a text of that length is made."""
    if length > MAX_SIZE:
        raise Fault(f"the result would be longer than {MAX_SIZE >> 20} MiB")


def strings_of(value: Value) -> list[str]:
    """sprig's strslice: the texts of a list's elements, without nil; a single value is a list of one."""
    if isinstance(value, (list, tuple)):
        return [text_of(item) for item in value if item is not None]
    return [] if value is None else [text_of(value)]


def _per_character(text: str, change: str) -> str:
    """Upper or lower case character by character: Go never changes the number of characters."""
    if text.isascii():
        return text.upper() if change == "upper" else text.lower()
    changed = (getattr(char, change)() for char in text)
    return "".join(new if len(new) == 1 else old for old, new in zip(text, changed, strict=True))


def upper(text: str) -> str:
    """strings.ToUpper"""
    return _per_character(text, "upper")


def lower(text: str) -> str:
    """strings.ToLower"""
    return _per_character(text, "lower")


@function("trunc", args="int string")
def _trunc(count: int, text: str) -> str:
    def cut(data: str) -> str:
        if count < 0:
            return data[count:] if len(data) + count > 0 else data
        return data[:count]

    return bytewise(cut, text)


@function("substr", args="int int string")
def _substr(start: int, end: int, text: str) -> str:
    def cut(data: str) -> str:
        first = max(start, 0)
        last = len(data) if start >= 0 and (end < 0 or end > len(data)) else end
        if not first <= last <= len(data):
            raise Fault(f"slice bounds out of range [{first}:{last}] of a text of length {len(data)}")
        return data[first:last]

    return bytewise(cut, text)


@function("repeat", args="int string")
def _repeat(count: int, text: str) -> str:
    if count < 0:
        raise Fault("negative Repeat count")
    bounded(count * len(text))
    return text * count


@function("replace", args="string string string")
def _replace(old: str, new: str, text: str) -> str:
    if len(new) > len(old):
        bounded(len(text) + text.count(old) * (len(new) - len(old)))
    return text.replace(old, new)


def _indent(spaces: int, text: str) -> str:
    if spaces < 0:
        raise Fault("negative indentation")
    bounded(len(text) + (text.count("\n") + 1) * spaces)
    pad = " " * spaces
    return pad + text.replace("\n", "\n" + pad)


define("indent", "int string", _indent)
define("nindent", "int string", lambda spaces, text: "\n" + _indent(spaces, text))


@function("quote", args="*any")
def _quote(*values: Value) -> str:
    return " ".join([quoted(text_of(value)) for value in values if value is not None])


@function("squote", args="*any")
def _squote(*values: Value) -> str:
    return " ".join([f"'{text_of(value)}'" for value in values if value is not None])


@function("cat", args="*any")
def _cat(*values: Value) -> str:
    return " ".join([text_of(value) for value in values if value is not None])


@function("join", args="string any")
def _join(separator: str, value: Value) -> str:
    parts = strings_of(value)
    bounded(sum(map(len, parts)) + len(separator) * len(parts))
    return separator.join(parts)


def split(text: str, separator: str, count: int = -1) -> list[str]:
    """strings.SplitN: ``count`` 0 gives nothing, a negative one all parts."""
    if count == 0:
        return []
    if separator:
        return text.split(separator, count - 1 if count > 0 else -1)
    if 0 < count < len(text):
        return [*text[: count - 1], text[count - 1 :]]
    return list(text)


def _numbered(parts: list[str]) -> dict[str, str]:
    return {f"_{index}": part for index, part in enumerate(parts)}


define("splitList", "string string", lambda separator, text: split(text, separator))
define("split", "string string", lambda separator, text: _numbered(split(text, separator)))
define("splitn", "string int string", lambda separator, count, text: _numbered(split(text, separator, count)))
define("toStrings", "any", strings_of)
define("toString", "any", text_of)
define("trim", "string", lambda text: text.strip(SPACE))
define("trimAll", "string string", lambda cut, text: text.strip(cut) if cut else text)
define("trimall", "string string", lambda cut, text: text.strip(cut) if cut else text)
define("trimSuffix", "string string", lambda suffix, text: text.removesuffix(suffix))
define("trimPrefix", "string string", lambda prefix, text: text.removeprefix(prefix))
define("upper", "string", upper)
define("lower", "string", lower)
define("contains", "string string", lambda part, text: part in text)
define("hasPrefix", "string string", lambda prefix, text: text.startswith(prefix))
define("hasSuffix", "string string", lambda suffix, text: text.endswith(suffix))
define("nospace", "string", lambda text: "".join(char for char in text if char not in SPACE))
define("plural", "string string int", lambda one, many, count: one if count == 1 else many)
