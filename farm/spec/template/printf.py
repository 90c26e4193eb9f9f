# SPDX-License-Identifier: GPL-3.0-or-later
"""fmt.Sprintf with Go's verbs, flags and complaints (``%!d(string=hi)``, ``%!(EXTRA int=1)``)."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

from farm.spec.template.numbers import format_float, special
from farm.spec.template.printing import go_syntax, hexadecimal, quoted, quoted_rune, text_of
from farm.spec.template.values import Fault, Value, sorted_keys, type_of, weigh

_DIRECTIVE = re.compile(
    r"%(?P<flags>[-+# 0]*)(?P<at_width>(?:\[\d+\])?)(?P<width>\*|\d*)"
    r"(?P<dot>\.?)(?P<at_precision>(?:\[\d+\])?)(?P<precision>\*|\d*)(?P<at>(?:\[\d+\])?)(?P<verb>.?)",
    re.DOTALL,
)
_MAX_WIDTH = 1_000_000


@dataclasses.dataclass(slots=True)
class _Spec:
    """One directive. ``width`` and ``precision`` are -1 when not given."""

    verb: str
    flags: str
    width: int
    precision: int

    def padded(self, text: str, *, number: bool = False) -> str:
        if self.width <= len(text):
            return text
        if "-" in self.flags:
            return text.ljust(self.width)
        if "0" not in self.flags:
            return text.rjust(self.width)
        sign = text[:1] if number and text[:1] in ("+", "-", " ") else ""
        return sign + text[len(sign) :].rjust(self.width - len(sign), "0")


class _Arguments:
    """The operands, and which of them are used."""

    def __init__(self, values: Sequence[Value]) -> None:
        self.values = values
        self.next = 0
        self.reordered = False

    def move(self, index: str) -> None:
        if index:
            self.reordered = True
            self.next = int(index[1:-1]) - 1

    def take(self) -> tuple[bool, Value]:
        if not 0 <= self.next < len(self.values):
            return False, None
        self.next += 1
        return True, self.values[self.next - 1]

    def extra(self) -> str:
        if self.reordered or self.next >= len(self.values):
            return ""
        rest = (
            "<nil>" if value is None else f"{type_of(value)}={text_of(value)}" for value in self.values[self.next :]
        )
        return f"%!(EXTRA {', '.join(rest)})"


def sprintf(template: str, values: Sequence[Value]) -> str:
    """fmt.Sprintf. Raises Fault for a width or precision over a million."""
    arguments = _Arguments(values)
    parts: list[str] = []
    position = 0
    while (percent := template.find("%", position)) >= 0:
        parts.append(template[position:percent])
        match = _DIRECTIVE.match(template, percent)
        assert match is not None
        parts.append(_directive(match, arguments))
        position = match.end()
    parts.append(template[position:])
    return "".join(parts) + arguments.extra()


def _directive(match: re.Match[str], arguments: _Arguments) -> str:
    verb = match["verb"]
    if not verb:
        return "%!(NOVERB)"
    arguments.move(match["at_width"])
    width, trouble = _number(match["width"], arguments, "WIDTH")
    flags = match["flags"]
    if width < -1:
        flags, width = flags + "-", -width
    arguments.move(match["at_precision"])
    precision, more = _number(match["precision"], arguments, "PREC")
    if match["dot"] and not match["precision"]:
        precision = 0
    arguments.move(match["at"])
    if verb == "%":
        return trouble + more + "%"
    found, value = arguments.take()
    if not found:
        return f"{trouble}{more}%!{verb}({'BADINDEX' if arguments.reordered else 'MISSING'})"
    return trouble + more + _format(_Spec(verb, flags, width, max(precision, -1)), value)


def _number(text: str, arguments: _Arguments, what: str) -> tuple[int, str]:
    if not text:
        return -1, ""
    value: Value = int(text) if text != "*" and len(text) < 9 else None
    if text == "*":
        _, value = arguments.take()
    if text == "*" and not isinstance(value, int):
        return -1, f"%!(BAD{what})"
    if value is None or abs(value) > _MAX_WIDTH:
        raise Fault(f"printf: the {'width' if what == 'WIDTH' else 'precision'} is over {_MAX_WIDTH}")
    return int(value), ""


def _format(spec: _Spec, value: Value) -> str:
    if spec.verb == "T":
        return spec.padded(type_of(value))
    if spec.verb == "v" and "#" in spec.flags:
        return spec.padded(go_syntax(value))
    if isinstance(value, (dict, list, tuple)):
        weigh(value)
        return _container(spec, value)
    if value is None:
        return spec.padded("<nil>") if spec.verb == "v" else f"%!{spec.verb}(<nil>)"
    if isinstance(value, bool):
        return spec.padded("true" if value else "false") if spec.verb in "tv" else _bad(spec, value)
    if isinstance(value, int):
        return _integer(spec, value)
    if isinstance(value, float):
        return _float(spec, value)
    return _string(spec, text_of(value), value)


def _container(spec: _Spec, value: Value) -> str:
    if isinstance(value, dict):
        inner = (f"{_format(spec, key)}:{_element(spec, value[key])}" for key in sorted_keys(value))
        return f"map[{' '.join(inner)}]"
    return f"[{' '.join(_element(spec, item) for item in value)}]"


def _element(spec: _Spec, value: Value) -> str:
    return "<nil>" if value is None else _format(spec, value)


def _bad(spec: _Spec, value: Value) -> str:
    return f"%!{spec.verb}({type_of(value)}={_format(dataclasses.replace(spec, verb='v'), value)})"


def _string(spec: _Spec, text: str, value: Value) -> str:
    if spec.verb not in "vsqxX":
        return _bad(spec, value)
    if spec.precision >= 0 and spec.verb in "vsq":
        text = text[: spec.precision]
    if spec.verb == "q":
        raw = "#" in spec.flags and "`" not in text and all(char.isprintable() or char == "\t" for char in text)
        text = f"`{text}`" if raw else quoted(text, ascii_only="+" in spec.flags)
    elif spec.verb in "xX":
        text = text if spec.precision < 0 else text[: spec.precision]
        text = hexadecimal(text, upper=spec.verb == "X", space=" " in spec.flags, prefix="#" in spec.flags)
    return spec.padded(text)


_BASES = {"d": "d", "v": "d", "b": "b", "o": "o", "O": "o", "x": "x", "X": "X"}
_PREFIXES = {"x": "0x", "X": "0X", "o": "0", "b": "0b"}


def _integer(spec: _Spec, value: int) -> str:
    verb = spec.verb
    if verb in "cqU":
        return _rune(spec, value)
    if verb not in _BASES:
        return _bad(spec, value)
    digits = format(abs(value), _BASES[verb])
    if spec.precision == 0 and value == 0:
        return spec.padded("") if "0" not in spec.flags else " " * max(spec.width, 0)
    digits = digits.rjust(spec.precision, "0")
    sign = "-" if value < 0 else "+" if "+" in spec.flags else " " if " " in spec.flags else ""
    prefix = "0o" if verb == "O" else _PREFIXES.get(verb, "") if "#" in spec.flags else ""
    if "0" in spec.flags and "-" not in spec.flags and spec.precision < 0:
        digits = digits.rjust(spec.width - len(sign), "0")
        return sign + prefix + digits
    return dataclasses.replace(spec, flags=spec.flags.replace("0", "")).padded(sign + prefix + digits)


def _rune(spec: _Spec, value: int) -> str:
    valid = 0 <= value <= 0x10FFFF and not 0xD800 <= value <= 0xDFFF
    if spec.verb == "q":
        return spec.padded(quoted_rune(value, ascii_only="+" in spec.flags))
    if spec.verb == "c":
        return spec.padded(chr(value) if valid else "\ufffd")
    shown = f" '{chr(value)}'" if "#" in spec.flags and valid and chr(value).isprintable() else ""
    return spec.padded(f"U+{value:04X}{shown}")


def _float(spec: _Spec, value: float) -> str:
    if spec.verb not in "veEfFgG":
        return _bad(spec, value)
    verb = {"v": "g", "F": "f"}.get(spec.verb, spec.verb)
    precision = spec.precision if spec.precision >= 0 or verb in "gG" else 6
    text = format_float(value, verb, precision)
    if special(value):
        spec = dataclasses.replace(spec, flags=spec.flags.replace("0", ""))
        text = text.removeprefix("+")
    if not text.startswith("-"):
        text = ("+" if "+" in spec.flags else " " if " " in spec.flags else "") + text
        if special(value) == "+Inf" and text == "Inf":
            text = "+Inf"
    return spec.padded(text, number=True)
