# SPDX-License-Identifier: GPL-3.0-or-later
"""Values as JSON, byte for byte as Go's encoding/json writes them."""

from __future__ import annotations

import json
import math
import re

from farm.spec.template.numbers import format_float
from farm.spec.template.printing import text_of
from farm.spec.template.values import Fault, Struct, Value, sorted_keys, weigh

_ESCAPED = re.compile('[\x00-\x1f"\\\\<>&\u2028\u2029]')
_RAW = re.compile('[\x00-\x1f"\\\\\u2028\u2029]')
_INVALID = re.compile("[\udc80-\udcff]")
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "\\": "\\\\"}
_EMPTY = {list: "[]", tuple: "[]", dict: "{}"}


def _string(text: str, escape: bool) -> str:
    pattern = _ESCAPED if escape else _RAW
    text = pattern.sub(lambda m: _SHORT.get(m.group()) or f"\\u{ord(m.group()):04x}", text)
    return f'"{text}"' if text.isascii() else '"' + _INVALID.sub(r"\\ufffd", text) + '"'


def float_text(number: float) -> str:
    """A float64 as encoding/json writes it: with an exponent only below 1e-6 and from 1e21 on."""
    if not math.isfinite(number):
        raise Fault(f"json: unsupported value: {text_of(number)}")
    size = abs(number)
    if size and (size < 1e-6 or size >= 1e21):
        return re.sub(r"e-0(\d)\Z", r"e-\1", format_float(number, "e"))
    return format_float(number, "f")


def to_json(value: Value, *, indent: str = "", escape: bool = True) -> str:
    """``value`` as JSON with sorted keys; ``escape``: ``<``, ``>`` and ``&`` as \\u escapes. Raises Fault."""
    weigh(value)
    return _write(value, indent, "\n" if indent else "", escape)


def _write(value: Value, indent: str, newline: str, escape: bool) -> str:
    if isinstance(value, str):
        return _string(value, escape)
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, float):
        return float_text(value)
    if not isinstance(value, (dict, list, tuple)):
        return (
            str(int(value))
            if isinstance(value, int)
            else _string(text_of(value) if not isinstance(value, Struct) else value.written(), escape)
        )
    if not value:
        return _EMPTY[dict if isinstance(value, dict) else list]
    inner = newline + indent
    if isinstance(value, dict):
        colon = ": " if indent else ":"
        texts = {key if isinstance(key, str) else text_of(key): value[key] for key in sorted_keys(value)}
        items = [_string(key, escape) + colon + _write(texts[key], indent, inner, escape) for key in sorted(texts)]
        return f"{{{inner}{f',{inner}'.join(items)}{newline}}}"
    items = [_write(item, indent, inner, escape) for item in value]
    return f"[{inner}{f',{inner}'.join(items)}{newline}]"
