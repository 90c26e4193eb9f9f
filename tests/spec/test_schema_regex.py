# SPDX-License-Identifier: GPL-3.0-or-later
"""Go's regular expressions."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farm.spec.problem import FarmError
from farm.spec.regex import compile_go


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("^/usr/include", "/usr/include/x", True),
        ("^/usr/include", "/opt/usr/include/x", False),
        ("a$", "a\n", False),
        (r"a\z", "a", True),
        (r"\.so(\.[0-9]+)*$", "x.so.1.2", True),
        ("[[:alpha:]_]+", "9", False),
        ("[^[:digit:]]", "9", False),
        ("[[:^digit:]]", "x", True),
        (r"\Qa.b\E+", "a.bb", True),
        (r"\Qa.b", "axb", False),
        ("(?i)ABC", "xabc", True),
        ("a(?i:B)c", "aBC", False),
        ("(?s)a.b", "a\nb", True),
        ("(?m)^b$", "a\nb\nc", True),
        ("^b$", "a\nb\nc", False),
        ("a{,2}", "aa", False),
        ("a{,2}", "a{,2}", True),
        ("^a{2}$", "aa", True),
        (r"[\w\-.]+", "-", True),
        ("[]a]", "]", True),
        ("[a[]", "[", True),
        ("[+--]", ",", True),
        (r"\d", "٣", False),
        (r"\w", "é", False),
        (r"\W", "é", True),
        (r"\pL", "é", True),
        (r"\P{Lu}", "A", False),
        (r"\p{^Lu}", "A", False),
        (r"\x{e9}", "é", True),
        (r"\x41\101", "AA", True),
        (r"(?P<n>a)(?<m>b)", "ab", True),
        ("x*", "", True),
        ("", "anything", True),
    ],
)
def test_matches_as_go_does(pattern: str, text: str, matches: bool) -> None:
    assert (compile_go(pattern).search(text) is not None) is matches


def test_ungreedy() -> None:
    found = compile_go("(?U)a+").search("aaa")
    assert found is not None
    assert found[0] == "a"


@pytest.mark.parametrize(
    "pattern",
    [
        "(?=a)",
        "(?!a)",
        "(?<=a)b",
        r"(a)\1",
        "a**",
        "a*+",
        "*a",
        "(",
        ")",
        "[a",
        "a{1001}",
        "a{2,1}",
        r"\y",
        "(?P<a",
        "[z-a]",
        r"[a-\d]",
        "(?>a)",
        "\\",
        "(?x)a",
        "a{2}{3}",
        r"\8",
        "[[:foo:]]",
        r"\p{Nope}",
        r"\x{110000}",
        "(?)",
        "a|*",
    ],
)
def test_refuses_what_go_refuses(pattern: str) -> None:
    with pytest.raises(FarmError) as caught:
        compile_go(pattern)
    assert caught.value.code == "bad-regex"


@given(st.text(alphabet=st.sampled_from(r"ab01()[]{}*+?|^$.\,-:QEpLdwx&~<>P=!iUms"), max_size=25))
@settings(max_examples=500, deadline=None)
def test_any_text_is_a_pattern_or_a_farm_error(pattern: str) -> None:
    try:
        compile_go(pattern).search("aabb01\n")
    except FarmError as e:
        assert e.code == "bad-regex"
