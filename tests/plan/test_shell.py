# SPDX-License-Identifier: GPL-3.0-or-later
"""Steps of old trees were Dockerfile lines."""

from __future__ import annotations

import pytest

from farm.plan.shell import shell_text


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ("make", "make"),
        ("a\nb", "a\nb"),
        ("a && \\\n  b", "a && \\\n  b"),
        ("X=1 \\\n# why\n\n  cmd", "X=1 \\\n  cmd"),
        ("a \\  \n b", "a \\\n b"),
        ("a\n# kept\nb", "a\n# kept\nb"),
        ('["echo", "a b"]', "exec echo 'a b'"),
        ("[ -e /x ] && y", "[ -e /x ] && y"),
        ("\nmake\n", "make"),
    ],
)
def test_shell_text(step: str, expected: str) -> None:
    assert shell_text(step) == expected
