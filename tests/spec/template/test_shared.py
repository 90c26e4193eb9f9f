# SPDX-License-Identifier: GPL-3.0-or-later
"""Shared templates stand in front of the file as text; places of output lead back to the right file."""

from __future__ import annotations

from typing import Any

import pytest

from farm.spec.template import render

VALUES: dict[str, Any] = {"name": "x", "items": ["a", "b"]}
HEADS = [
    "",
    '{{ define "lib" }}<{{ . }}>{{ end }}\n',
    "text \n ",
    "{{ $v := 7 }}\n",
    "{{ if .Values.name }} ",
    "{{- /* note */ -}}\n  ",
    "a {{ .Values.name -}} \n ",
    "{{ range .Values.items -}}",
    "{",
    "{{ .Values.",
]
TAILS = [
    "",
    "plain",
    " \n{{- .Values.name }}",
    "{{- .Values.name }}",
    "  {{ .Values.name }}\n",
    "{{ end }}done",
    " {{ . }}{{ end }}",
    "{ .Values.name }}",
    "name }}",
]


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("tail", TAILS)
def test_same_as_one_text(head: str, tail: str) -> None:
    def attempt(text: str, shared: tuple[tuple[str, str], ...] = ()) -> str:
        try:
            return render(text, VALUES, name="f", shared=shared).text
        except Exception as error:  # noqa: BLE001 - compared with the same error of the other way
            return f"{type(error).__name__} {getattr(error, 'code', '')}"

    assert attempt(tail, (("s", head),)) == attempt(head + tail)
    assert attempt(tail, (("r", head[:3]), ("s", head[3:]))) == attempt(head + tail)


def test_shared_variables_and_templates() -> None:
    shared = (("s", '{{ $v := 7 }}{{ define "lib" }}<{{ . }}>{{ end }}'),)
    assert render('{{ $v }}{{ include "lib" $v }}{{ template "lib" 8 }}', {}, name="f", shared=shared).text == "7<7><8>"


TEXT = """\
{{- /* head */ -}}
name: {{ .Values.name }}
steps:
{{- range .Values.items }}
- build {{ . }}
  {{- if eq . "b" }}
- last
  {{- end }}
{{- end }}
{{ include "lib" "k" }}
end: 1
"""
LIB = '{{ define "lib" }}one\ntwo: {{ . }}{{ end }}\n'


@pytest.mark.parametrize("spans", [False, True])
def test_places_of_output(spans: bool) -> None:
    rendered = render(TEXT, VALUES, name="build.yaml", shared=(("lib.yaml", LIB),), spans=spans)
    lines = rendered.text.splitlines()
    assert lines == ["name: x", "steps:", "- build a", "- build b", "- last", "one", "two: k", "end: 1"]
    places = [rendered.place(number + 1) for number in range(len(lines))]
    assert places == [
        ("build.yaml", 2, 1),
        ("build.yaml", 3, 1),
        ("build.yaml", 5, 1),
        ("build.yaml", 5, 1),
        ("build.yaml", 7, 1),
        ("build.yaml", 10, 4),
        ("build.yaml", 10, 4),
        ("build.yaml", 11, 1),
    ]


def test_place_inside_a_template_action() -> None:
    rendered = render('a\n{{ template "lib" "k" }}', {}, name="f", shared=(("lib.yaml", LIB),))
    assert rendered.place(4) == ("lib.yaml", 2, 1)


def test_place_of_lines_that_are_not_there() -> None:
    rendered = render("", {}, name="f")
    assert rendered.place(1) == rendered.place(99) == ("f", 1, 1)


def test_place_counts_the_columns_of_values() -> None:
    rendered = render("a:\n  {{ .Values.name }}: 1", VALUES, name="f")
    assert rendered.place(2) == ("f", 2, 6)
