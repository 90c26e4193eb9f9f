# SPDX-License-Identifier: GPL-3.0-or-later
"""Hostile templates end with an error, and soon."""

from __future__ import annotations

import time
from typing import Any

import pytest

from farm.spec.problem import FarmError
from farm.spec.template import render

DOUBLE = "{{ $x := `ab` }}{{ range until 60 }}{{ $x = print $x $x }}{{ end }}"
ENDLESS = '{{ define "r" }}{{ include "r" . }}{{ end }}{{ include "r" . }}'
TREE = '{{ define "r" }}{{ if . }}{{ template "r" (rest .) }}{{ template "r" (rest .) }}{{ end }}{{ end }}'

HOSTILE = [
    ENDLESS,
    '{{ define "r" }}{{ template "r" . }}{{ end }}{{ template "r" . }}',
    '{{ $t := "{{ tpl .t . }}" }}{{ tpl $t (dict "t" $t) }}',
    TREE + '{{ template "r" (until 60) }}',
    "{{ until 1000000000 }}",
    "{{ untilStep 0 1000000000 1 }}",
    "{{ seq 1000000000 }}",
    "{{ range 1000000000 }}{{ end }}",
    "{{ range until 100000 }}{{ range until 100000 }}{{ end }}{{ end }}",
    "{{ repeat 1000000000 `x` }}",
    "{{ range until 1000000 }}xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx{{ end }}",
    DOUBLE,
    "{{ $x := list 1 }}{{ range until 60 }}{{ $x = concat $x $x }}{{ end }}",
    "{{ $x := list 1 }}{{ range until 60 }}{{ $x = list $x $x }}{{ end }}{{ $x }}",
    "{{ $x := list 1 }}{{ range until 60 }}{{ $x = list $x $x }}{{ end }}{{ toJson $x }}",
    "{{ $x := list 1 }}{{ range until 100000 }}{{ $x = list $x }}{{ end }}{{ $x }}",
    "{{ $x := list 1 }}{{ range until 100000 }}{{ $x = list $x }}{{ end }}{{ toYaml $x }}",
    "{{ $x := list 1 }}{{ range until 100000 }}{{ $x = list $x }}{{ end }}{{ deepCopy $x }}",
    '{{ $d := dict }}{{ $_ := set $d "d" $d }}{{ $d }}',
    '{{ $d := dict }}{{ $_ := set $d "d" $d }}{{ toPrettyJson $d }}',
    '{{ $x := repeat 60000 "a" }}{{ replace "a" $x $x }}',
    '{{ $x := repeat 60000 "a" }}{{ regexReplaceAll "a" $x $x }}',
    "{{ printf `%999999999d` 1 }}",
    "{{ printf `%*d` 999999999 1 }}",
    "{{ randAlpha 1000000000 }}",
    "{{ indent 1000000000 `x` }}",
    "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "{{ if 1 }}" * 2000 + "{{ end }}" * 2000,
    "{{ if 1 }}" + "{{ else if 1 }}" * 2000 + "{{ end }}",
    "{{ regexFind `" + "(" * 500 + ")" * 500 + "` `x` }}",
    "{{ regexFind `((a{1000}){1000}){1000}|(b+)+` `b` }}",
    "{{ fromYaml `" + "[" * 5000 + "` | required `x` }}{{ fail `end` }}",
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_templates_fail(text: str) -> None:
    start = time.thread_time()
    with pytest.raises(FarmError) as caught:
        render(text, {}, name="f")
    assert caught.value.code in ("template-execution", "template-syntax")
    assert time.thread_time() - start < 20


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+$",
        "(a|a)*$",
        "(a|aa)+$",
        "(a*)*$",
        "(.*)*x",
        "([a-z]+)*[0-9]",
        "(a?){50}a{50}",
        "(x+x+)+y",
        "a*a*a*a*a*a*b",
    ],
)
def test_costly_regular_expressions_end(pattern: str) -> None:
    start = time.thread_time()
    text = "{{ regexMatch .Values.p .Values.t }}{{ regexFind .Values.p (repeat 40 `x`) }}"
    render(text, {"p": pattern, "t": "a" * 500 + "!"}, name="f")
    assert time.thread_time() - start < 20


def test_deep_but_honest_recursion() -> None:
    text = '{{ define "r" }}{{ if . }}{{ len . }} {{ template "r" (rest .) }}{{ end }}{{ end }}'
    assert render(text + '{{ template "r" (until 20) }}', {}, name="f").text.split() == [
        str(number) for number in range(20, 0, -1)
    ]


def test_deep_values() -> None:
    value: Any = 1
    for _ in range(100_000):
        value = [value]
    with pytest.raises(FarmError):
        render("{{ .Values.x }}", {"x": value}, name="f")
    with pytest.raises(FarmError):
        render('{{ set .Values "a" 1 }}', {"x": value}, name="f")
