# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors of templates: their codes, their places, all at once."""

from __future__ import annotations

from typing import Any

import pytest

from farm.spec.problem import FarmError, Place, Problem
from farm.spec.template import render


def problems(text: str, values: dict[str, Any] | None = None, **more: Any) -> tuple[Problem, ...]:
    with pytest.raises(FarmError) as caught:
        render(text, values or {}, name="build.yaml", **more)
    return caught.value.problems


@pytest.mark.parametrize(
    ("text", "code", "line", "column"),
    [
        ("a\n  {{ nosuch 1 }}", "template-unknown-function", 2, 6),
        ("a\n{{ if .x }}\nb", "template-syntax", 2, 1),
        ("{{ end }}", "template-syntax", 1, 1),
        ("{{ if true }}{{ else }}{{ else }}{{ end }}", "template-syntax", 1, 24),
        ("é {{ $x }}", "template-syntax", 1, 6),
        ('x\ny {{ "unfinished }}', "template-syntax", 2, 6),
        ("{{ .a", "template-syntax", 1, 1),
        ("{{/* open", "template-syntax", 1, 1),
        ("{{ (upper `x` }}", "template-syntax", 1, 5),
        ("{{ upper 1 2 }}", "template-arity", 1, 4),
        ("{{ eq upper 1 }}", "template-arity", 1, 7),
        ("{{ .Values.a.b }}", "template-execution", 1, 4),
        ("\n\n{{ 1 | upper }}", "template-execution", 3, 8),
        ("{{ if true }}\n{{ fail `no` }}{{ end }}", "template-execution", 2, 4),
        ("{{ index .Values `a` 1 }}", "template-execution", 1, 4),
        ("{{ template `t` }}", "template-execution", 1, 1),
        ("{{ include `t` . }}", "template-execution", 1, 4),
        ("{{ range `x` }}{{ end }}", "template-execution", 1, 10),
        ("{{ required `give it` .Values.x }}", "template-execution", 1, 4),
        ('{{ tpl `{{ fail "x" }}` . }}', "template-execution", 1, 4),
        ("{{ tpl `{{ end }}` . }}", "template-execution", 1, 4),
        ("{{ regexFind `(` `x` }}", "template-execution", 1, 4),
        ("{{ range 3 }}\n{{ div 1 . }}{{ end }}", "template-execution", 2, 4),
    ],
)
def test_code_and_place(text: str, code: str, line: int, column: int) -> None:
    (problem,) = problems(text)
    assert problem.code == code
    assert problem.place == Place("build.yaml", line, column)


def test_all_problems_of_a_file_at_once() -> None:
    text = "{{ nosuch }}\n{{ if ( }}\n{{ upper }}\n{{ 08 }}\n{{ $x }}\n{{ bad.x | alsonot }}{{ end }}\n{{ end }}\n"
    found = [(problem.code, problem.place and problem.place.line) for problem in problems(text)]
    assert found == [
        ("template-unknown-function", 1),
        ("template-syntax", 2),
        ("template-arity", 3),
        ("template-syntax", 4),
        ("template-syntax", 5),
        ("template-unknown-function", 6),
        ("template-unknown-function", 6),
        ("template-syntax", 7),
    ]


def test_hints() -> None:
    assert "upper" in problems("{{ uper `x` }}")[0].hint
    assert "$name" in problems("{{ $name := 1 }}{{ $nam }}")[0].hint
    assert "machine" in problems("{{ env `HOME` }}")[0].hint
    assert problems("{{ upper .Values.x }}")[0].hint


def test_message_of_required_and_fail() -> None:
    assert problems("{{ required `set x` .Values.x }}")[0].message == "set x"
    assert problems("{{ fail `boom` }}")[0].message == "boom"


SHARED = (
    ("lib/a.yaml", '{{ define "a" }}\n{{ .x.y }}{{ end }}\n'),
    ("lib/b.yaml", '{{ define "b" }}{{ fail "b" }}{{ end }}'),
)


def test_place_in_a_shared_template() -> None:
    (problem,) = problems('{{ include "a" (dict) }}', shared=SHARED)
    assert problem.place == Place("lib/a.yaml", 2, 4)
    (problem,) = problems('\n{{ template "b" }}', shared=SHARED)
    assert problem.place == Place("lib/b.yaml", 1, 20)


def test_place_behind_shared_templates() -> None:
    (problem,) = problems("x\n {{ fail `here` }}", shared=SHARED)
    assert problem.place == Place("build.yaml", 2, 5)


def test_syntax_error_in_a_shared_template() -> None:
    shared = (("ok.yaml", "{{/* fine */}}\n"), ("bad.yaml", "\n{{ nosuch }}"))
    found = problems("{{ end }}", shared=shared)
    assert [str(problem.place) for problem in found] == ["bad.yaml:2:4", "build.yaml:1:1"]


def test_same_template_twice() -> None:
    assert problems('{{ define "a" }}1{{ end }}', shared=SHARED)[0].code == "template-syntax"
