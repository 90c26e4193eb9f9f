# SPDX-License-Identifier: GPL-3.0-or-later
"""YAML text: types as anise's, text where it is wanted, positions, and nothing that can hurt."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farm.spec.problem import Place
from farm.spec.scalars import scalar
from farm.spec.yamltext import TEXT, VERSION, decode, parse


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("y", True),
        ("Yes", True),
        ("on", True),
        ("off", False),
        ("N", False),
        ("~", None),
        ("", None),
        ("010", 8),
        ("0o17", 15),
        ("0x1F", 31),
        ("0b11", 3),
        ("1_000", 1000),
        ("-7", -7),
        ("1.10", 1.1),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("08", 8.0),
        ("1.2.3", "1.2.3"),
        ("0.20230710+1", "0.20230710+1"),
        ("2020-01-01", "2020-01-01"),
        ("1:30", "1:30"),
        (".", "."),
        ("+", "+"),
        ("yess", "yess"),
    ],
)
def test_scalars_are_typed_as_go_yaml_does(text: str, value: Any) -> None:
    found = scalar(text)
    assert found == value
    assert type(found) is type(value)


def test_quoted_is_text() -> None:
    assert parse("- '1'\n- \"y\"\n- !!str 3\n- |\n  1\n", "f").data == ["1", "y", "3", "1\n"]


def test_a_shape_keeps_the_source_text() -> None:
    parsed = parse(
        "version: 1.10\nother: 1.10\nflags: [y, 1]\nnone:\n", "f", {"version": VERSION, "flags": [TEXT], "none": TEXT}
    )
    assert parsed.data == {"version": "1.10", "other": 1.1, "flags": ["y", "1"], "none": None}
    assert parsed.unquoted == [("1.10", 1, 10)]


def test_merge_keys_aliases_and_redefined_anchors() -> None:
    text = "a: &x {k: 1, l: 2}\nb: {<<: *x, k: 3}\nc: &x 4\nd: *x\ne: {<<: [{m: 1}, {m: 2}]}\n"
    data = parse(text, "f").data
    assert data["b"] == {"k": 3, "l": 2}
    assert data["d"] == 4
    assert data["e"] == {"m": 1}


def test_places() -> None:
    parsed = parse("a:\n- b: 1\n  c: 2\n", "f")
    assert parsed.place(("a", 0, "c")) == Place("f", 3, 6)
    assert parsed.place(("a", 0, "c"), key=True) == Place("f", 3, 3)
    assert parsed.place(("a", 7)) == Place("f", 2, 1)
    assert parsed.lines(("a", 0)) == (2, 4)


BOMB = "a: &a [1,1,1,1,1,1,1,1,1]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(8)
)


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("a: 1\nb: 2\na: 3\n", "duplicate-key", 3),
        ("a: 1\n\tb: 2\n", "bad-yaml", 2),
        ("a: [1\n", "bad-yaml", 2),
        ("a: *b\n", "yaml-undefined-alias", 1),
        ("&a [*a]", "yaml-recursion", 1),
        ("a: &a {b: {<<: *a}}", "yaml-recursion", 1),
        (BOMB, "yaml-too-large", 1),
        ("[" * 200_000, "yaml-too-deep", 1),
        ("- " * 5_000, "yaml-too-deep", 1),
        ("".join(" " * i + "a:\n" for i in range(2_000)), "yaml-too-deep", 101),
        ("a: b\0c", "bad-yaml", 1),
        ('a: 1\nb: "x\\0y"\n', "bad-yaml", 2),
        ("a: 1\n? [b]\n: 2\n", "bad-yaml", 2),
        ("a: 1\n---\nb: 2\n", "several-documents", 3),
        ("a: {<<: 3}", "bad-yaml", 1),
    ],
)
def test_problems_have_a_code_and_a_line(text: str, code: str, line: int) -> None:
    problem = parse(text, "f").problems[0]
    assert problem.code == code
    assert problem.place is not None
    if code != "yaml-too-large":
        assert problem.place.line == line


def test_all_duplicate_keys_are_told() -> None:
    assert len(parse("a: 1\na: 2\nb: 1\nb: 2\n", "f").problems) == 2


@pytest.mark.parametrize(
    ("content", "text", "code"),
    [
        (b"a: 1", "a: 1", None),
        (b"\xef\xbb\xbfa", "a", None),
        ("ä".encode("utf-16"), "ä", None),
        (b"a\n\xff", "", "bad-encoding"),
        (b" " * (17 << 20), "", "file-too-large"),
    ],
)
def test_decoding(content: bytes, text: str, code: str | None) -> None:
    found, problems = decode(content, "f")
    assert found == text
    assert [p.code for p in problems] == ([code] if code else [])


@given(st.text(alphabet=st.sampled_from("ab:-?[]{},&*!|>'\"#%@` \n\t<0.~"), max_size=80))
@settings(max_examples=400, deadline=None)
def test_nothing_raises(text: str) -> None:
    parsed = parse(text, "f", {"a": TEXT, "b": [VERSION]})
    assert parsed.place(("a", 0, "b")).file == "f"
