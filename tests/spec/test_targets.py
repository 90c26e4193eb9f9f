# SPDX-License-Identifier: GPL-3.0-or-later
"""Which packages of a tree a user's words mean."""

from __future__ import annotations

import pytest

from farm.spec.model import PackageId, Tree
from farm.spec.problem import FarmError
from farm.spec.targets import find_targets, find_versions

IDS = ["c/a-1", "c/a-2", "x/b-1", "y/b-1", "c/foo-1.0-3"]


def tree() -> Tree:
    """A tree of packages that have nothing but an identity."""
    identities = [(category, *rest.rsplit("-", 1)) for category, rest in (text.split("/") for text in IDS)]
    packages = dict.fromkeys(PackageId(*parts) for parts in identities)
    return Tree(packages=packages)  # type: ignore[arg-type]  # only the identities are looked at


@pytest.mark.parametrize(
    ("text", "meant"),
    [("a", "c/a-2"), ("c/a@<2", "c/a-1"), ("x/b", "x/b-1"), ("c/foo-1.0", "c/foo-1.0-3")],
)
def test_what_is_meant(text: str, meant: str) -> None:
    assert [str(identity) for identity in find_targets(tree(), [text])] == [meant]


def test_all_versions_highest_last() -> None:
    assert [str(identity) for identity in find_versions(tree(), "c/a")] == ["c/a-1", "c/a-2"]


def test_all_that_mean_nothing_are_told_at_once() -> None:
    with pytest.raises(FarmError) as caught:
        find_targets(tree(), ["b", "c/aa", "a@>2"])
    assert [problem.code for problem in caught.value.problems] == [
        "ambiguous-target",
        "unknown-target",
        "unknown-target",
    ]
    assert [problem.hint for problem in caught.value.problems] == [
        "write one of x/b, y/b",
        "did you mean c/a?",
        "there are: 1, 2",
    ]
