# SPDX-License-Identifier: GPL-3.0-or-later
"""Which kit takes which package: rules, order, branches, fixups, overlays that are held back."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import pytest

from farm.kit.foundations.model import Foundations, Kit, Overlay, Release
from farm.kit.foundations.packageset import PackageSet, find_package_set, parse_rule
from farm.kit.foundations.resolve import Content, resolve
from farm.spec.problem import FarmError

PACKAGES = {
    "top": {"dev-libs/one", "app-misc/top"},
    "base": {"dev-libs/one", "dev-libs/two", "dev-python/a", "dev-python/b", "app-misc/x-firmware", "sys-apps/old"},
}


class World:
    """Overlays in memory, and fixups by kit and branch."""

    def __init__(self, fixups: Mapping[tuple[str, str], set[str]] | None = None) -> None:
        self.fixups = fixups or {}

    def packages(self, what: Overlay | Kit) -> Collection[str]:
        """Of an overlay, or of a kit's fixups."""
        return PACKAGES[what.name] if isinstance(what, Overlay) else self.fixups.get((what.name, what.branch), set())

    def inheriting(self, overlay: Overlay, eclass: str, categories: Collection[str]) -> Collection[str]:
        """Everything in dev-python inherits python."""
        names = {name for name in PACKAGES[overlay.name] if name.startswith("dev-python/") and eclass == "python"}
        return {name for name in names if not categories or name.partition("/")[0] in categories}

    def needed(self, _overlay: Overlay, catpkg: str) -> Collection[str]:
        """dev-libs/two needs two packages."""
        return {"dev-python/a", "sys-apps/old"} if catpkg == "dev-libs/two" else set()

    def maintained(self, overlay: Overlay, mail: str, categories: Collection[str]) -> Collection[str]:
        """Somebody maintains dev-libs."""
        return {n for n in PACKAGES[overlay.name] if n.startswith("dev-libs/") and mail == "me@example.org"}


def rules(*lines: str) -> PackageSet:
    """A package set."""
    return PackageSet(tuple(map(parse_rule, lines)))


def contents(
    kits: list[Kit], sets: Mapping[str, PackageSet], world: World | None = None, **overlay: object
) -> dict[str, list[str]]:
    """Kit and branch → its packages, each with the overlay that it comes from."""
    made = {name: Overlay(name, "u", **(overlay if name == "top" else {})) for name in PACKAGES}  # type: ignore[arg-type]
    foundations = Foundations(Path("f"), made, {"s": (made["top"], made["base"]), "b": (made["base"],)}, {})
    found = resolve(foundations, Release("r", tuple(kits)), sets, world or World(), world or World())
    return {f"{c.kit.name}:{c.kit.branch}": _shown(c) for c in found}


def _shown(content: Content) -> list[str]:
    return [f"{name}@{taken.overlay.name if taken.overlay else 'fixup'}" for name, taken in content.packages.items()]


def kit(name: str, branch: str = "m", source: str = "s") -> Kit:
    """A kit that is generated."""
    return Kit(name, branch, source)


@pytest.mark.parametrize(
    ("lines", "taken"),
    [
        (("dev-libs/one", "dev-libs/none"), ["dev-libs/one@top"]),
        (("dev-libs/*",), ["dev-libs/one@top", "dev-libs/two@base"]),
        (("dev-*/* -dev-libs/one -dev-python/b",), ["dev-libs/two@base", "dev-python/a@base"]),
        (("@regex@:.*-firmware",), ["app-misc/x-firmware@base"]),
        (("@regex@:libs/",), []),
        (("@depsincat@:dev-libs/two:dev-python",), ["dev-python/a@base"]),
        (("@depsincat@:dev-libs/two",), ["dev-python/a@base", "sys-apps/old@base"]),
        (("@maintainer@:me@example.org",), ["dev-libs/one@top", "dev-libs/two@base"]),
        (("@maintainer@:dev-libs:ME@example.org",), ["dev-libs/one@top", "dev-libs/two@base"]),
        (("@has_eclass@:python",), ["dev-python/a@base", "dev-python/b@base"]),
        (("@cat_has_eclass@:dev-libs:python",), []),
        (("sys-apps/old -> sys-apps/new",), ["sys-apps/new@base"]),
    ],
)
def test_rules(lines: tuple[str, ...], taken: list[str]) -> None:
    assert contents([kit("a-kit")], {"a-kit": rules(*lines)}) == {"a-kit:m": taken}


def test_what_is_in_a_kit_is_in_no_later_one() -> None:
    sets = {"a-kit": rules("dev-libs/one", "sys-apps/old -> sys-apps/new"), "b-kit": rules("dev-libs/*", "sys-apps/*")}
    assert contents([kit("a-kit"), kit("b-kit")], sets) == {
        "a-kit:m": ["dev-libs/one@top", "sys-apps/new@base"],
        "b-kit:m": ["dev-libs/two@base"],
    }
    assert contents([kit("b-kit"), kit("a-kit")], sets)["a-kit:m"] == []


def test_branches_of_one_kit_may_hold_the_same() -> None:
    sets = {"a-kit": rules("dev-libs/one", "dev-libs/two"), "b-kit": rules("dev-libs/*")}
    found = contents([kit("a-kit", "1"), kit("a-kit", "2", "b"), kit("b-kit")], sets)
    assert found == {
        "a-kit:1": ["dev-libs/one@top", "dev-libs/two@base"],
        "a-kit:2": ["dev-libs/one@base", "dev-libs/two@base"],
        "b-kit:m": [],
    }


def test_a_glob_keeps_what_its_own_snapshot_lacks_from_later_kits() -> None:
    sets = {"a-kit": rules("app-misc/* -app-misc/top"), "b-kit": rules("app-misc/top", "@regex@:app-misc/x.*")}
    assert contents([kit("a-kit", source="b"), kit("b-kit")], sets)["b-kit:m"] == ["app-misc/top@top"]


def test_nokit_takes_what_is_left_wherever_it_stands() -> None:
    sets = {"a-kit": rules("dev-libs/*", "dev-python/*"), "b-kit": rules("app-misc/top")}
    found = contents([kit("a-kit"), kit("nokit"), kit("b-kit")], sets)
    assert found["nokit:m"] == ["app-misc/x-firmware@base", "sys-apps/old@base"]
    assert found["b-kit:m"] == ["app-misc/top@top"]


def test_fixups_come_first_and_are_recorded() -> None:
    world = World({("a-kit", "1"): {"dev-libs/two", "dev-libs/fixed"}, ("c-kit", "m"): {"dev-libs/two"}})
    sets = {"a-kit": rules("dev-libs/one"), "b-kit": rules("dev-libs/*"), "c-kit": rules()}
    found = contents([kit("a-kit", "1"), kit("a-kit", "2"), kit("b-kit"), kit("c-kit")], sets, world)
    assert found["a-kit:1"] == ["dev-libs/fixed@fixup", "dev-libs/one@top", "dev-libs/two@fixup"]
    assert found["a-kit:2"] == ["dev-libs/one@top"]
    assert found["b-kit:m"] == []
    assert found["c-kit:m"] == ["dev-libs/two@fixup"]


def test_overlays_that_are_held_back() -> None:
    sets = {"a-kit": rules("*/*")}
    one = contents([kit("a-kit")], sets, filter=("base",))["a-kit:m"]
    assert "dev-libs/one@base" in one and "app-misc/top@top" in one
    forced = contents([kit("a-kit")], sets, filter=("base",), force=frozenset({"dev-libs/one"}))["a-kit:m"]
    assert "dev-libs/one@top" in forced
    selected = contents([kit("a-kit")], sets, select=frozenset({"dev-libs/one"}))["a-kit:m"]
    assert "dev-libs/one@top" in selected and "app-misc/top@top" not in selected


def test_kits_that_are_not_generated_and_kits_without_a_set() -> None:
    indy = Kit("i-kit", "m", "", type="indy")
    assert contents([indy, kit("a-kit")], {"a-kit": rules("app-misc/top")}) == {"a-kit:m": ["app-misc/top@top"]}
    with pytest.raises(FarmError) as caught:
        contents([kit("a-kit"), kit("b-kit")], {})
    assert [p.code for p in caught.value.problems] == ["no-package-set", "no-package-set"]


@pytest.mark.parametrize(
    "line",
    ["nothing", "a/b c/d", "a/* b/c", "a/b ->", "../x/y", "@regex@:(", "@what@:x", "@depsincat@:x", "@maintainer@:me",
     "@has_eclass@:", "@cat_has_eclass@:x", "-", "a/b/c"],
)  # fmt: skip
def test_lines_that_are_no_rules(line: str) -> None:
    with pytest.raises(FarmError) as caught:
        parse_rule(line)
    assert caught.value.code == "bad-rule"


def test_files_of_package_sets(tmp_path: Path) -> None:
    for name, text in {
        "global/a-kit-packages": "# all\ndev-libs/one  # why\n\n-dev-libs/three\n",
        "1.4/b-kit-packages/two": "dev-libs/*\n",
        "1.4/b-kit-packages/one": "app-misc/x\n",
        "global/b-kit-packages": "never/read\n",
        "global/b-kit-skip": "dev-libs/two\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    found = find_package_set(tmp_path, "1.4", "a-kit")
    assert found and [r.value for r in found.rules] == ["dev-libs/one"] and found.skip == {"dev-libs/three"}
    found = find_package_set(tmp_path, "1.4", "b-kit")
    assert found and [r.value for r in found.rules] == ["app-misc/x", "dev-libs/*"] and found.skip == {"dev-libs/two"}
    assert find_package_set(tmp_path, "1.4", "c-kit") is None
    (tmp_path / "global/a-kit-packages").write_text("one\ndev-libs/one\n@x@:\n")
    with pytest.raises(FarmError) as caught:
        find_package_set(tmp_path, "1.4", "a-kit")
    assert [p.place.line for p in caught.value.problems if p.place] == [1, 3]
