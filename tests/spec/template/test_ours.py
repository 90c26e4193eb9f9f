# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes beyond Go 1.19 and sprig 3.2, or is more lenient; and what real spec trees write."""

from __future__ import annotations

from typing import Any

import pytest

from farm.spec.template import render

VALUES: dict[str, Any] = {
    "name": "greet-lib",
    "version": "1.10.2",
    "labels": {"jobs": "8"},
    "n": 3,
    "items": ["a", None],
}

CASES = [
    ("{{ range 3 }}{{ . }}{{ end }}", "012"),
    ("{{ range $i := 2 }}{{ $i }}{{ end }}", "01"),
    ("{{ range 0 }}x{{ else }}none{{ end }}", "none"),
    ("{{ with .Values.no }}a{{ else with .Values.name }}{{ . }}{{ end }}", "greet-lib"),
    ("{{ with .Values.no }}a{{ else with .Values.none }}b{{ else }}c{{ end }}", "c"),
    ("{{ $i := 9 }}{{ range $i = .Values.items }}{{ end }}{{ $i }}", ""),
    ("{{ range .Values.items }}({{ . }}){{ end }}", "(a)()"),
    ('{{ set (dict "a" 1) "b" 2 | keys | join "," }}', "a,b"),
    ('{{ values (dict "b" 1 "a" 2) }}', "[2 1]"),
    ('{{ until (add 1 2) | join " " }}', "0 1 2"),
    ('{{ sha512sum "a" | trunc 8 }} {{ md5sum "a" | trunc 8 }}', "1f40fc92 0cc175b9"),
    ('{{ toYaml (dict "a" (list 1 "x")) }}', "a:\n- 1\n- x"),
    ('{{ getHostByName "example.org" }}', ""),
    ("{{ 1000000 }} {{ .Values.n }}", "1000000 3"),
    ("{{ .Capabilities.KubeVersion }}{{ .Files.x }}{{ .Template.BasePath }}", "templates"),
    ('{{ index .Values.labels "jobs" | default "3" }}', "8"),
    ('{{ ( index .Values.labels "cores" ) | default "3" }}', "3"),
    ('{{ .Values.name | replace "-" "_" | upper }}', "GREET_LIB"),
    ('{{ regexReplaceAll "([0-9]+)\\\\.([0-9]+).*" .Values.version "${1}.${2}" }}', "1.10"),
    ('{{ $v := splitList "." .Values.version }}{{ first $v }}.{{ index $v 1 }}/{{ last $v }}', "1.10/2"),
    ('{{ if semverCompare ">=1.9" .Values.version }}new{{ else }}old{{ end }}', "new"),
    ('{{ (toDate "2006-01-02" "2024-02-29").Format "Jan 2" }}', "Feb 29"),
    ('{{ date "2006-01-02 15:04 MST" 86400 }}', "1970-01-02 00:00 UTC"),
    ("{{ printf `%s-%s` .Values.name .Values.version }}", "greet-lib-1.10.2"),
    ('{{ "\\xff" }}|{{ "\\xc3\\xa9" }}|{{ trunc 1 "é" }}', "\ufffd|é|\ufffd"),
    ('{{ dict "t" (toDate "2006-01-02" "2024-02-29") | toJson }}', '{"t":"2024-02-29T00:00:00Z"}'),
]


@pytest.mark.parametrize(("template", "expected"), CASES)
def test_renders(template: str, expected: str) -> None:
    assert render(template, VALUES, name="f").text == expected


def test_values_are_not_changed() -> None:
    values: dict[str, Any] = {"a": {"b": 1}, "l": [{"x": 1}]}
    template = '{{ set .Values.a "b" 2 }}{{ unset .Values "l" }}{{ tpl "{{ set .Values \\"n\\" 1 }}" . }}'
    render(template + '{{ merge .Values (dict "m" 1) }}', values, name="f")
    assert values == {"a": {"b": 1}, "l": [{"x": 1}]}


def test_a_changed_value_is_seen_by_the_same_template_only() -> None:
    template = '{{ $_ := set .Values "x" 1 }}{{ .Values.x }}'
    assert [render(template, {}, name="f").text for _ in range(2)] == ["1", "1"]
    assert render("{{ .Values.x }}", {}, name="f").text == ""
