# SPDX-License-Identifier: GPL-3.0-or-later
"""Labels as real trees have them, and what tags become versions by them."""

from __future__ import annotations

from typing import Any

import pytest

from farm.spec.autobump import Watch, dated, revdeps_wanted, watch
from farm.spec.model import Package
from farm.spec.package import make_package
from farm.spec.problem import FarmError, Place


def package(version: str = "1.0", name: str = "x", **labels: str) -> Package:
    """A package with labels; ``__`` stands for a dot."""
    data: dict[str, Any] = {"category": "c", "name": name, "version": version}
    data["labels"] = {key.replace("__", "."): value for key, value in labels.items()}
    return make_package(data, place=Place("definition.yaml"))


def found(version: str = "1.0", **labels: str) -> Watch:
    """What is read of labels of a project on a forge."""
    item = watch(package(version, github__owner="o", github__repo="r", **labels))
    assert item is not None
    return item


@pytest.mark.parametrize(
    ("labels", "tags", "newest"),
    [
        ({}, ["v1.2", "v1.10", "v1.9"], "1.10"),
        ({}, ["1.2", "1.3-rc1", "nightly", "2.0_beta", "1.2.1-dev"], "1.2"),
        ({"autobump__prereleases": "true"}, ["1.2", "1.3-rc1"], "1.3-rc1"),
        ({"autobump__trim_prefix": "go"}, ["go1.21.1", "go1.21.10", "weekly"], "1.21.10"),
        ({"autobump__trim_prefix": "release-"}, ["release-1.0", "2.0"], "2.0"),
        ({"autobump__prefix": "prefix", "autobump__string_replace": '{ "prefix": "" }'}, ["5.16.17"], "5.16.17"),
        ({"autobump__string_replace": '{"_": ".", "^R": ""}'}, ["R_2_4_9", "R2_5_1"], "2.5.1"),
        ({"autobump__string_replace": '{"^curl-([0-9]+)_([0-9]+)$": "$1.${2}"}'}, ["curl-8_5"], "8.5"),
        ({"autobump__version_contains": "^v1\\."}, ["v1.9", "v2.0"], "1.9"),
        ({"autobump__skip_if_contains": '["bad", "-win"]'}, ["1.5-win", "1.4", "1.6bad"], "1.4"),
        ({}, ["v1.19.3+k3s1", "v1.19.3+k3s2"], "1.19.3+k3s2"),
        ({}, ["x" * 300, "1;rm -rf /", "", "../1.0", "1..2"], None),
    ],
)
def test_the_newest_of_tags(labels: dict[str, str], tags: list[str], newest: str | None) -> None:
    assert found(**labels).newest(tags) == newest


def test_who_has_a_prerelease_gets_prereleases() -> None:
    assert found("1.0_rc1").newest(["1.0-rc2", "0.9"]) == "1.0-rc2"


@pytest.mark.parametrize(
    ("labels", "strategy"),
    [
        ({"github__owner": "o", "github__repo": "r"}, "tags"),
        ({"github__owner": "o", "github__repo": "r", "autobump__strategy": "Release"}, "release"),
        ({"github__owner": "o", "github__repo": "r", "autobump__strategy": "refs"}, "refs"),
        ({"autobump__strategy": "custom", "autobump__version_hook": "echo 1"}, "custom"),
        ({"autobump__hook": "echo 1"}, "custom"),
        ({"autobump__strategy": "snapshot"}, "snapshot"),
        ({"git__url": "https://example.invalid/x"}, "git"),
        ({"github__owner": "o", "github__repo": "r", "autobump__ignore": "1"}, None),
        ({"github__owner": "o"}, None),
        ({}, None),
        ({"emerge__packages": "app-misc/x"}, None),
    ],
)
def test_strategies(labels: dict[str, str], strategy: str | None) -> None:
    item = watch(package(**labels))
    assert (item.strategy if item else None) == strategy


@pytest.mark.parametrize(
    ("written", "atom"),
    [
        ("dev-libs/appstream kde-plasma/discover", "kde-plasma/discover"),
        ("app-admin/calamares", "app-admin/calamares"),
        ("\n  =sys-apps/discover-1.2-r3:0\n", "sys-apps/discover"),
        (">=dev-libs/discover-plus-2:2/3", "dev-libs/discover-plus"),
    ],
)
def test_names_in_kits(written: str, atom: str) -> None:
    item = watch(package(name="discover", emerge__packages=written), kit=True)
    assert item is not None
    assert (item.strategy, item.kit) == ("kit", atom)


def test_all_bad_labels_are_told() -> None:
    labels = {"autobump__string_replace": "{", "autobump__skip_if_contains": "{}", "autobump__version_contains": "("}
    with pytest.raises(FarmError) as caught:
        watch(package(github__owner="a/b", github__repo="", autobump__strategy="release", **labels))
    assert sorted(problem.code for problem in caught.value.problems) == [
        "bad-label", "bad-label", "bad-label", "bad-regex", "missing-label",
    ]  # fmt: skip
    with pytest.raises(FarmError, match="git_hash"):
        watch(package(github__owner="a", github__repo="b", autobump__strategy="git_hash"))
    with pytest.raises(FarmError, match="none that the farm knows"):
        watch(package(autobump__strategy="astrology"))


@pytest.mark.parametrize(
    ("current", "new"),
    [("20201209", "20261127"), ("0.20201209+1", "0.20261127"), ("1.0_p20201209", "1.0_p20261127"), ("1.0", "20261127")],
)
def test_dates(current: str, new: str) -> None:
    assert dated(current, "20261127") == new


def test_reverse_dependencies() -> None:
    assert revdeps_wanted(package(autobump__revdeps="true"))
    assert revdeps_wanted(package(autobump__reverse_dependencies="TRUE"))
    assert not revdeps_wanted(package(autobump__revdeps="false"))
    assert not revdeps_wanted(package())
