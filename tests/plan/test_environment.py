# SPDX-License-Identifier: GPL-3.0-or-later
"""Environment entries behave as arguments of a Dockerfile's ENV."""

from __future__ import annotations

import pytest

from farm.plan.environment import evaluate
from farm.spec.assignment import assignment
from farm.spec.problem import FarmError


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["A=1"], {"A": "1"}),
        (['CFLAGS="-O2 -g0"'], {"CFLAGS": "-O2 -g0"}),
        (["A=1 B=2"], {"A": "1", "B": "2"}),
        (["A hello  world "], {"A": "hello  world"}),
        (["A=1", "A=$A:2", "B=${A}3"], {"A": "1:2", "B": "1:23"}),
        (["A=1", "A=2 B=$A"], {"A": "2", "B": "1"}),
        (["A='$B'"], {"A": "$B"}),
        (['A="\\$B \\"q\\""'], {"A": '$B "q"'}),
        (["A=a\\ b"], {"A": "a b"}),
        (['A="${B:-x y}"'], {"A": "x y"}),
        (["A=${B:-}"], {"A": ""}),
        (["B=1", "A=${B:+yes}"], {"B": "1", "A": "yes"}),
        (["A=$"], {"A": "$"}),
        (['A="x=1" B='], {"A": "x=1", "B": ""}),
        (["A=pre$B.post"], {"A": "pre.post"}),
        (["a.b-c=1"], {"a.b-c": "1"}),
        (["A=1 \\\n  B=2\n"], {"A": "1", "B": "2"}),
        (['A="one\ntwo"'], {"A": "one\ntwo"}),
    ],
)
def test_evaluate(lines: list[str], expected: dict[str, str]) -> None:
    assert evaluate(lines, {}) == expected


def test_base_is_kept_and_seen() -> None:
    assert evaluate(["PATH=/x:$PATH"], {"PATH": "/bin", "HOME": "/root"}) == {"PATH": "/x:/bin", "HOME": "/root"}


@pytest.mark.parametrize("text", ["plain", "it's", "a\\b", '$A "q"', "two\nlines", "''"])
def test_an_assignment_sets_exactly_this_text(text: str) -> None:
    assert evaluate([assignment("A", text)], {}) == {"A": text}


@pytest.mark.parametrize("line", ["", "1A=2", "A=1 B", "A='x", "=1", "A", "A=one\ntwo"])
def test_bad_lines(line: str) -> None:
    with pytest.raises(FarmError) as caught:
        evaluate([line], {})
    assert caught.value.code == "bad-env"
