# SPDX-License-Identifier: GPL-3.0-or-later
"""Selectors and targets: what they admit, and how they are written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farm.spec.problem import FarmError
from farm.spec.selector import Selector, parse_target
from farm.spec.version import Version

ALL = [
    "0_rc1",
    "0",
    "0.9",
    "1.0_rc1",
    "1.0",
    "1.0+1",
    "1.0+2",
    "1.0-r1",
    "1.0-r1+1",
    "1.0_p1",
    "1.0a",
    "1.0.1",
    "1.2",
    "1.2.3",
    "1.20",
    "2",
]


@pytest.mark.parametrize(
    ("selector", "admitted"),
    [
        ("", ALL),
        ("*", ALL),
        ("=*", ALL),
        (">=0", ALL),
        ("!<0", ALL),
        (">0", [v for v in ALL if v not in {"0_rc1", "0"}]),
        ("1.0", ["1.0"]),
        ("=1.0", ["1.0"]),
        ("= 1.0", ["1.0"]),
        ("v1.0", ["1.0"]),
        ("=1.0+1", ["1.0+1"]),
        ("!1.0", [v for v in ALL if v != "1.0"]),
        ("!=1.0", [v for v in ALL if v != "1.0"]),
        (">=1.0", ALL[4:]),
        (">1.0", ALL[5:]),
        (">=1.0+2", ALL[6:]),
        ("<=1.0", ALL[:5]),
        ("<1.0", ALL[:4]),
        ("!>1.0", ALL[:5]),
        ("!<1.0", ALL[4:]),
        ("~1.0", ["1.0", "1.0+1", "1.0+2", "1.0-r1", "1.0-r1+1"]),
        ("~1.0-r1", ["1.0", "1.0+1", "1.0+2", "1.0-r1", "1.0-r1+1"]),
        ("!~1.0", ["0_rc1", "0", "0.9", "1.0_rc1", "1.0_p1", "1.0a", "1.0.1", "1.2", "1.2.3", "1.20", "2"]),
        ("=1.2*", ["1.2", "1.2.3"]),
        ("1.2*", ["1.2", "1.2.3"]),
        ("1.2.*", ["1.2", "1.2.3"]),
        ("=1.0*", ["1.0_rc1", "1.0", "1.0+1", "1.0+2", "1.0-r1", "1.0-r1+1", "1.0_p1", "1.0a", "1.0.1"]),
        ("=1.0-r1*", ["1.0-r1", "1.0-r1+1"]),
        ("=1.0_r*", []),
        ("!=1*", ["0_rc1", "0", "0.9", "2"]),
        (">=1.0,<1.2", ALL[4:12]),
        (">= 1.0 , < 1.2, !=1.0a", [v for v in ALL[4:12] if v != "1.0a"]),
    ],
)
def test_admits(selector: str, admitted: list[str]) -> None:
    parsed = Selector.parse(selector)
    assert [v for v in ALL if parsed.admits(Version.parse(v))] == admitted
    assert str(parsed) == selector
    assert parsed.any == (admitted == ALL)


@pytest.mark.parametrize(
    "text", [">=", "!", "!*", ">>1", "==1", "~>1", "=>1", ">=1.0 <2", ">=1*", "~1*", "1,", ",", "1..0", ">= =1", "<*"]
)
def test_bad_selector(text: str) -> None:
    with pytest.raises(FarmError) as caught:
        Selector.parse(text)
    assert caught.value.code == "bad-selector"


@given(st.sampled_from(ALL), st.sampled_from(ALL))
def test_operators_belong_together(wanted: str, text: str) -> None:
    version = Version.parse(text)

    def admits(sign: str) -> bool:
        return Selector.parse(sign + wanted).admits(version)

    assert admits("=") == (not admits("!=")) == (not admits("!"))
    assert [admits("<"), admits("="), admits(">")].count(True) == 1 or wanted == "0"
    assert admits("<=") == (admits("<") or admits("=")) == admits("!>")
    assert admits(">=") == (admits(">") or admits("=")) or wanted == "0"


@pytest.mark.parametrize(
    ("text", "category", "name", "selector"),
    [
        ("foo", None, "foo", ""),
        ("foo@1.0", None, "foo", "1.0"),
        ("app/foo", "app", "foo", ""),
        ("app/foo@1.0", "app", "foo", "1.0"),
        ("app/foo@>=1.0", "app", "foo", ">=1.0"),
        ("app/foo@>=1.0,<2", "app", "foo", ">=1.0,<2"),
        ("app/foo-1.0", "app", "foo", "1.0"),
        ("app/foo-1.0-r1+2", "app", "foo", "1.0-r1+2"),
        (">=app/foo-1.0", "app", "foo", ">=1.0"),
        ("!<app/foo-1.0", "app", "foo", "!<1.0"),
        ("!app/foo-1.0", "app", "foo", "!1.0"),
        ("=app/foo-1.0*", "app", "foo", "=1.0*"),
        ("~app/foo-1.0_alpha_rc1", "app", "foo", "~1.0_alpha_rc1"),
        (">=app/foo-1.2.3-beta.1", "app", "foo", ">=1.2.3-beta.1"),
        ("dev-libs/gtk+-3.24", "dev-libs", "gtk+", "3.24"),
        ("media-fonts/font-100dpi", "media-fonts", "font-100dpi", ""),
        ("media-fonts/font-100dpi-1.0", "media-fonts", "font-100dpi", "1.0"),
        ("dev-lang/python-3.11", "dev-lang", "python", "3.11"),
        ("x11/lib3d-1", "x11", "lib3d", "1"),
    ],
)
def test_target(text: str, category: str | None, name: str, selector: str) -> None:
    target = parse_target(text)
    assert (target.category, target.name, target.selector.text) == (category, name, selector)


def test_whole_gentoo_atom() -> None:
    target = parse_target(">=cat/name-1.0:3/4=[ssl,-doc]::overlay")
    assert str(target) == "cat/name@>=1.0"
    assert (target.slot, target.use, target.repository) == ("3/4=", ("ssl", "-doc"), "overlay")
    assert parse_target("cat/name:0::overlay[a]").use == ("a",)


def test_a_name_may_look_like_a_version() -> None:
    assert parse_target("app/foo-1.0").literal == "foo-1.0"
    assert parse_target("=app/foo-1.0").literal == ""


@pytest.mark.parametrize(
    "text", ["", "a/b/c", "!cat/name", ">=cat/name", "cat/name@", "@1.0", "app/foo->=1.0", "cat/", "/name", "c/n-1.0*"]
)
def test_bad_target(text: str) -> None:
    with pytest.raises(FarmError) as caught:
        parse_target(text)
    assert caught.value.code == "bad-target"
