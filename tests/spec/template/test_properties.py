# SPDX-License-Identifier: GPL-3.0-or-later
"""Properties: text without braces is left alone, and whatever is wrong is a FarmError with a place."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from farm.spec.problem import FarmError
from farm.spec.template import render
from farm.spec.template.numbers import format_float, parse_float
from farm.spec.template.registry import FUNCTIONS

SAFE = sorted(set(FUNCTIONS) - {"derivePassword", "repeat", "randAscii", "randAlpha", "randNumeric", "randAlphaNum"})
VALUES: dict[str, Any] = {"s": "text", "n": 3, "f": 1.5, "l": [1, "x", None], "m": {"k": "v"}, "b": True}
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
PLAIN = st.text(st.characters(exclude_characters="{", exclude_categories=["Cs"]))
OPERANDS = st.sampled_from(
    [
        *SAFE,
        ".",
        "$",
        ".Values.s",
        ".Values.l",
        ".Values.m",
        ".Values.no",
        ".Values.n.x",
        '"a"',
        "`%d`",
        "1",
        "-2.5",
        "nil",
    ]
)
WORDS = st.sampled_from(
    [
        "if",
        "else",
        "end",
        "range",
        "with",
        "define",
        '"t"',
        "template",
        "block",
        "break",
        "$x",
        ":=",
        "=",
        "|",
        "(",
        ")",
        ",",
    ]
)
PIECES = st.one_of(
    PLAIN, st.sampled_from(["{{", "}}", "{{-", "-}}", " ", "{", "}", "/*", "*/", '"', "\n"]), OPERANDS, WORDS
)
DATA = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | PLAIN,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(PLAIN, inner, max_size=4),
    max_leaves=8,
)


@UNHURRIED
@given(PLAIN)
def test_plain_text_is_left_alone(text: str) -> None:
    rendered = render(text, {}, name="f")
    assert rendered.text == text
    assert rendered.impure == ()


@UNHURRIED
@given(st.lists(PIECES, max_size=15).map(" ".join))
def test_any_text_renders_or_is_an_error_with_a_place(text: str) -> None:
    with contextlib.suppress(FarmError):
        render(text, VALUES, name="f")


@UNHURRIED
@given(st.lists(st.one_of(OPERANDS, st.sampled_from(["|", "(", ")"])), min_size=1, max_size=6).map(" ".join))
def test_any_action_renders_or_is_an_error_with_a_place(action: str) -> None:
    try:
        render("{{ " + action + " }}", VALUES, name="f").text.encode()
    except FarmError as error:
        assert all(problem.place and problem.place.line == 1 for problem in error.problems)


@UNHURRIED
@given(st.sampled_from(SAFE), st.lists(DATA, max_size=4))
def test_any_function_takes_any_values(name: str, values: list[Any]) -> None:
    arguments = " ".join(f"(index .Values.v {index})" for index in range(len(values)))
    with contextlib.suppress(FarmError):
        render(f"{{{{ {name} {arguments} }}}}", {"v": values}, name="f").text.encode()


@UNHURRIED
@given(DATA)
def test_json_reads_back(value: Any) -> None:
    text = render("{{ toJson .Values.v }}", {"v": value}, name="f").text
    assert json.loads(text, parse_int=float) == value


@UNHURRIED
@given(DATA)
def test_yaml_reads_back(value: Any) -> None:
    text = render("{{ toYaml .Values.v }}", {"v": value}, name="f").text
    assert render("{{ toJson (fromYamlArray .Values.t) }}", {"t": text}, name="f").text
    breaks = isinstance(value, str) and set(value) & set("\x85\u2028\u2029")  # go-yaml does not keep these either
    if isinstance(value, (str, bool)) and not breaks:
        assert yaml.safe_load(text) == value


@UNHURRIED
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_read_back(number: float) -> None:
    for verb in "gef":
        assert parse_float(format_float(number, verb)) == number


@UNHURRIED
@given(PLAIN, PLAIN)
def test_quote_reads_back(text: str, other: str) -> None:
    literal = render("{{ quote .Values.t }}", {"t": text}, name="f").text
    assert render("{{ " + literal + " }}" + other, {}, name="f").text == text + other
