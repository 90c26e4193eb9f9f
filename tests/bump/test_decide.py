# SPDX-License-Identifier: GPL-3.0-or-later
"""Which packages move, and what is built, given a tree and what a wagon has."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import pytest

from farm.bump.decide import Policy, below, changed, dependents, targets
from farm.spec.model import Package, PackageId, SpecFile, Tree
from farm.spec.package import make_package
from farm.spec.problem import Place
from farm.spec.specdigest import spec_digest


def package(
    name: str, version: str = "1.0", *requires: str, build: dict[str, Any] | None = None, **keys: Any
) -> Package:
    """A package that is built upon others."""
    needed = [{"category": "c", "name": one.partition("@")[0], "version": one.partition("@")[2]} for one in requires]
    data = {"category": "c", "name": name, "version": version, **keys}
    return make_package(data, build={"requires": needed, "steps": ["true"], **(build or {})}, place=Place("f"))


def tree(*packages: Package) -> Tree:
    """A tree of packages."""
    return Tree({item.id: item for item in packages})


def names(ids: Sequence[PackageId]) -> list[str]:
    """Names and versions."""
    return [f"{id.name}-{id.version}" for id in ids]


A = package("a", labels={"autobump.revdeps": "true"})
B, C, D = package("b", "1.0", "a@>=1"), package("c", "2.0+4", "b@"), package("d", "1.0", "a@<1")
VIRTUAL = package("v", "1.0", provides=[{"category": "c", "name": "a", "version": ">=0"}])
COPY = package("copy", build={"copy": [{"package": {"category": "c", "name": "a", "version": ">=0"},
                                        "source": "/x", "destination": "/y"}]})  # fmt: skip
WHOLE = tree(A, B, C, D, COPY)


@pytest.mark.parametrize(
    ("policy", "moved"),
    [
        ("label", ["b-1.0+1", "c-2.0+5", "copy-1.0+1"]),
        ("all", ["b-1.0+1", "c-2.0+5", "copy-1.0+1"]),
        ("direct", ["b-1.0+1", "copy-1.0+1"]),
        ("none", []),
    ],
)
def test_reverse_dependencies(policy: Policy, moved: list[str]) -> None:
    assert names([move.new for move in below(WHOLE, {A.id: "upstream"}, policy, ())]) == moved


def test_who_has_no_label_moves_nobody_and_who_is_settled_stays() -> None:
    assert not below(WHOLE, {B.id: "upstream"}, "label", ())
    assert names([move.new for move in below(WHOLE, {A.id: "spec"}, "label", {C.id})]) == ["b-1.0+1", "copy-1.0+1"]


def test_providers_and_cycles() -> None:
    assert dependents(tree(VIRTUAL, B))[VIRTUAL.id] == {B.id}
    one, two = package("one", "1", "two@"), package("two", "1", "one@", labels={"autobump.revdeps": "true"})
    assert names([move.new for move in below(tree(one, two), {two.id: "spec"}, "label", ())]) == ["one-1+1"]


def test_a_changed_spec_gets_the_next_build() -> None:
    base = {item.id: spec_digest(item) for item in WHOLE.packages.values()}
    assert changed(WHOLE, base) == []
    other = dataclasses.replace(C, finalizer={"install": ["true"]})
    assert names([move.new for move in changed(tree(A, B, other), base)]) == ["c-2.0+5"]
    assert changed(tree(other), {C.id: None}) == []


def test_a_later_build_in_the_wagon_is_passed() -> None:
    base = {PackageId("c", "a", "1.0+3"): None, PackageId("c", "a", "1.0+4"): None}
    assert names([move.new for move in changed(tree(A), base)]) == ["a-1.0+1"]
    assert changed(tree(package("a", "1.0+5")), base) == []


def test_what_is_built() -> None:
    runtime = dataclasses.replace(package("e"), build=None)
    whole = tree(A, package("b", "2.0"), runtime)
    base = {A.id: None, B.id: None}
    assert names(targets(whole, base, new=True)) == ["b-2.0"]
    assert names(targets(whole, {B.id: None}, new=True)) == ["a-1.0", "b-2.0"]
    assert names(targets(whole, {B.id: None}, new=False)) == ["b-2.0"]


@pytest.mark.parametrize(
    ("change", "differs"),
    [
        ({"description": "other"}, False),
        ({"labels": {"x": "y"}}, False),
        ({"license": "MIT"}, False),
        ({"uri": ("https://example.invalid",)}, False),
        ({"annotations": {"config_protect": "/etc"}}, True),
        ({"finalizer": {"install": ["true"]}}, True),
        ({"requires": B.build_requires}, True),
        ({"use_flags": ("x",)}, True),
        ({"files": (SpecFile("build.yaml", "0" * 64, 0o644),)}, False),
        ({"files": (SpecFile("patch", "0" * 64, 0o644),)}, True),
    ],
)
def test_what_the_digest_of_a_spec_covers(change: dict[str, Any], differs: bool) -> None:
    assert (spec_digest(dataclasses.replace(A, **change)) != spec_digest(A)) is differs
