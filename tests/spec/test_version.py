# SPDX-License-Identifier: GPL-3.0-or-later
"""The order of versions: as Gentoo's, with builds; and every difference from the Go code has a name."""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farm.spec.problem import FarmError
from farm.spec.selector import Selector, parse_target
from farm.spec.version import Version

DATA = Path(__file__).parent.parent / "data" / "versions"
ORACLE: list[dict[str, str]] = [json.loads(line) for line in (DATA / "anise-oracle.jsonl").read_text().splitlines()]


def compare(a: str, b: str) -> int:
    one, other = Version.parse(a), Version.parse(b)
    return (one > other) - (one < other)


@pytest.mark.parametrize("line", (DATA / "gentoo-pairs.txt").read_text().splitlines())
def test_agrees_with_portage(line: str) -> None:
    a, b, answer = line.split()
    assert compare(a, b) == int(answer)
    assert compare(b, a) == -int(answer)


@pytest.mark.parametrize(
    "ascending",
    [
        "1.0 1.0+1 1.0+2 1.0+10 1.0+pre.3 1.0+pre.10 1.0+r9 1.0+r10 1.0-r1 1.0-r1+1 1.0-r2 1.0-r10",
        "1.0~git1 1.0-dev 1.0_alpha 1.0_alpha1 1.0_beta 1.0_pre 1.0_rc1 1.0_rc1_p1 1.0_rc2 1.0 1.0_p 1.0_p1 1.0a 1.0.0",
        "1.2.3-alpha 1.2.3-beta.1 1.2.3-beta.2 1.2.3-rc1 1.2.3 1.2.3-1 1.2.4",
        "3.0rc1 3.0 3.0p1 3.0a",
        "0.9.8 0.9.8a 0.9.8z 0.9.8za 0.9.8zh 0.9.9",
        "latest stable 0_rc1 0 0.20230710+1 v1 1.2 2 9999 20230101 20230101+1",
        "1.0.0.0.0.0.1 1.0.0.0.0.0.2 1.0.0.0.0.0.2.0",
        "1.0-git20200101 1.0-git20200102",
    ],
)
def test_ascending(ascending: str) -> None:
    texts = ascending.split()
    for a, b in itertools.combinations(texts, 2):
        assert compare(a, b) == -1, (a, b)


@pytest.mark.parametrize("same", ["1.0 1.0-r0", "1.0 v1.0", "1.0_rc1 1.0-rc.1 1.0RC1", "1.0_p 1.0_p0", "01 1"])
def test_same_version_in_other_words(same: str) -> None:
    versions = [Version.parse(text) for text in same.split()]
    assert len(set(versions)) == 1
    assert [str(v) for v in versions] == same.split()


@pytest.mark.parametrize(
    "text", ["", " ", "1..0", "-1", "1.0-", "1.0+", "1 0", "1/2", "1:2", ">=1", "1.0*", "1" * 300, "1\u0660", "1\n"]
)
def test_bad_version(text: str) -> None:
    with pytest.raises(FarmError) as caught:
        Version.parse(text)
    assert caught.value.code == "bad-version"


PIECES = st.sampled_from(["0", "1", "01", "10", "a", "z", "rc", "rc2", "p1", "alpha", "beta.1", "r1", "git3", "dev"])
VERSIONS = st.builds(
    lambda first, rest: first + "".join(mark + piece for mark, piece in rest),
    st.sampled_from(["0", "1", "1.0", "v2", "x"]),
    st.lists(st.tuples(st.sampled_from([".", "-", "_", "+", "~"]), PIECES), max_size=4),
)


@given(st.lists(VERSIONS, min_size=3, max_size=3))
def test_total_order(texts: list[str]) -> None:
    a, b, c = sorted(Version.parse(text) for text in texts)
    assert a <= b <= c
    assert a <= c
    assert (a == b) == (hash(a) == hash(b) and not a < b)


# --- the oracle ------------------------------------------------------------------------------------------


COMPARISONS = {
    "letter-below-release": 24,
    "rc-above-release": 64,
    "suffix-as-text": 4,
    "version-is-name": 12,
    "zeros-ignored": 10,
}
SELECTIONS = {
    "build-ignored": 60,
    "letter-is-prerelease": 100,
    "no-tilde": 31,
    "revision-is-prerelease": 110,
    "zeros-ignored": 28,
}
PARSES = {"foo": "name-alone", "app/foo->=1.0": "operator-in-name"}


def numbers(text: str) -> tuple[int, ...]:
    """The numbers as go-version has them: without the zeros at the end."""
    found = re.match(r"[0-9]+(\.[0-9]+)*", text)
    assert found is not None
    parts = [int(n) for n in found[0].split(".")]
    while len(parts) > 1 and not parts[-1]:
        parts.pop()
    return tuple(parts)


def has(pattern: str, *texts: str) -> bool:
    return any(re.search(pattern, text) for text in texts)


PRE, POST, LETTER, BUILD = r"_(alpha|beta|pre|rc)", r"-r[0-9]|_p[0-9]", r"[0-9][a-z]", r"\+"


def comparison_rule(a: str, b: str, answer: str) -> str:
    """Why the Go client compares two versions differently. docs/versions.md explains the names."""
    if "Wrong name" in answer or "without version" in answer:
        return "version-is-name"
    assert numbers(a) == numbers(b), "only versions with the same numbers are compared differently"
    if has(PRE, a, b):
        return "rc-above-release"
    if has(LETTER, a, b):
        return "letter-below-release"
    if a.split("+")[0].split("-")[0].split("_")[0] != b.split("+")[0].split("-")[0].split("_")[0]:
        return "zeros-ignored"
    assert has(POST, a, b) and has(BUILD, a, b)
    return "suffix-as-text"


def selection_rule(selector: str, version: str) -> str:
    """Why the Go builder admits differently."""
    if selector.startswith("~"):
        return "no-tilde"
    wanted = selector.lstrip("<>=!")
    assert numbers(wanted) == numbers(version), "only versions with the same numbers are admitted differently"
    if has(LETTER, wanted, version):
        return "letter-is-prerelease"
    if has(POST, wanted, version):
        return "revision-is-prerelease"
    if wanted.split("+")[0] != version.split("+")[0]:
        return "zeros-ignored"
    assert has(BUILD, wanted, version)
    return "build-ignored"


def go_comparison(answer: str) -> int | None:
    lower, greater, equal = (f"{name}=true" in answer for name in ("lt", "gt", "eq"))
    return -1 if lower else 1 if greater else 0 if equal else None


def test_the_document_names_every_rule() -> None:
    document = (Path(__file__).parents[2] / "docs" / "versions.md").read_text()
    for rule, count in (*COMPARISONS.items(), *SELECTIONS.items()):
        assert re.search(rf"\| `{rule}` .*\| {count} \|", document), rule
    assert all(f"| `{rule}` " in document for rule in PARSES.values())


def test_every_difference_from_the_go_comparison_is_explained() -> None:
    rules: Counter[str] = Counter()
    cases = [case for case in ORACLE if case["Op"] == "gcmp"]
    for case in cases:
        a, b, answer = case["A"], case["B"], case["R"]
        if compare(a, b) != go_comparison(answer):
            rules[comparison_rule(a, b, answer)] += 1
    assert len(cases) == 545
    assert rules == COMPARISONS


def test_every_difference_from_the_go_selection_is_explained() -> None:
    rules: Counter[str] = Counter()
    cases = [case for case in ORACLE if case["Op"] == "wsel"]
    for case in cases:
        admitted = Selector.parse(case["A"]).admits(Version.parse(case["B"]))
        if admitted != (case["R"] == "true"):
            rules[selection_rule(case["A"], case["B"])] += 1
    assert len(cases) == 2079
    assert rules == SELECTIONS


def test_every_difference_from_the_go_parser_is_explained() -> None:
    cases = [case for case in ORACLE if case["Op"] == "parse"]
    differ = {case["A"] for case in cases if target_as_go_has_it(case["A"]) != go_target(case["R"])}
    assert len(cases) == 12
    assert differ == set(PARSES)


def target_as_go_has_it(text: str) -> dict[str, Any] | None:
    try:
        target = parse_target(text)
    except FarmError as problem:
        assert problem.code == "bad-target"
        return None
    sign = re.match(r"[<>=!~]*", target.selector.text)
    assert sign is not None
    version = target.selector.text[sign.end() :].removesuffix("*")
    star = "*" if target.selector.text.endswith("*") else ""
    condition = sign[0] + star if version else ""
    condition = condition or ("=" if version else "")
    return {
        "category": target.category,
        "name": target.name,
        "version": version,
        "slot": target.slot or "0",
        "condition": condition,
    }


def go_target(answer: str) -> dict[str, Any] | None:
    if answer.startswith("ERR"):
        return None
    text, _, condition = answer.partition(" cond=")
    found = json.loads(text)
    build = f"+{found['version_build']}" if "version_build" in found else ""
    version = found.get("version", "") + found.get("version_suffix", "") + build
    keys = ("category", "name", "slot")
    return {**{key: found[key] for key in keys}, "version": version, "condition": condition}
