# SPDX-License-Identifier: GPL-3.0-or-later
"""What depends on the time or on chance works, and is reported."""

from __future__ import annotations

import datetime

import pytest

from farm.spec.problem import Place
from farm.spec.template import render


def test_pure_templates_report_nothing() -> None:
    text = '{{ date "2006" 0 }}{{ toDate "2006" "2020" | date "06" }}{{ if false }}{{ now }}{{ end }}'
    assert render(text, {}, name="f").impure == ()


@pytest.mark.parametrize(
    "call",
    [
        "now",
        "uuidv4",
        "randAlphaNum 5",
        "randAlpha 5",
        "randNumeric 5",
        "randAscii 5",
        "randBytes 5",
        "randInt 1 9",
        'shuffle "abc"',
        "ago 0",
    ],
)
def test_impure_calls_are_reported(call: str) -> None:
    rendered = render(f"x\n {{{{ {call} }}}}", {}, name="f")
    assert rendered.impure == ((call.split()[0], Place("f", 2, 5)),)
    assert len(rendered.text) > 3


def test_now_and_date() -> None:
    rendered = render('{{ now | date "2006-01-02" }}', {}, name="f")
    today = datetime.datetime.now(datetime.UTC)
    assert rendered.text in {str((today - datetime.timedelta(days=days)).date()) for days in (0, 1)}
    assert [function for function, _ in rendered.impure] == ["now"]


def test_date_of_something_else_is_the_present_time() -> None:
    rendered = render('{{ date "2006" .Values.missing }}', {}, name="f")
    assert int(rendered.text) >= 2024
    assert [function for function, _ in rendered.impure] == ["date"]


def test_inside_tpl_and_shared_templates() -> None:
    shared = (("lib", '{{ define "when" }}{{ now }}{{ end }}'),)
    rendered = render('{{ tpl "{{ uuidv4 }}" . }}\n{{ include "when" . }}', {}, name="f", shared=shared)
    assert rendered.impure == (("uuidv4", Place("f", 1, 4)), ("now", Place("lib", 1, 23)))


def test_lengths() -> None:
    assert len(render("{{ randAlphaNum 12 }}", {}, name="f").text) == 12
    assert len(render("{{ uuidv4 }}", {}, name="f").text) == 36
