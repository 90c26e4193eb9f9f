# SPDX-License-Identifier: GPL-3.0-or-later
"""What jobs and specs say cannot trouble the terminal."""

from __future__ import annotations

import pytest

from farm.cli.show import printable, shortened


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("plain\tünï 日本", "plain\tünï 日本"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://x\x1b\\link", "link"),
        ("\x1bcreset\x07\x08", "reset  "),
        ("\x9b31m", " 31m"),
    ],
)
def test_printable(line: str, shown: str) -> None:
    assert printable(line) == shown


def test_shortened() -> None:
    assert shortened("make\nmake install\n") == "make\nmake install"
    assert shortened("x\n" * 30).count("\n") == 19
    assert len(shortened("x" * 200_000)) < 2100
