# SPDX-License-Identifier: GPL-3.0-or-later
"""What the catalog makes of packages for several platforms."""

from __future__ import annotations

from pathlib import Path

import pytest

from farm.client.catalog import Catalog, names_of, understand
from farm.client.config import RepositoryConfig
from farm.client.database import Database
from farm.client.masks import Masks
from farm.client.solve import plan_install
from farm.spec.model import PackageId
from farm.spec.problem import FarmError
from farm.wagon.metadata import Metadata
from farm.wagon.reading import Entry, Wagon
from farm.wagon.repository import Repository, read_repository

ARM, HOST = "linux/arm64", "linux/amd64"


def wagon(name: str, stated: str = "", priority: int = 10, **packages: str) -> tuple[RepositoryConfig, Wagon]:
    """A wagon with packages ``app/NAME-1``, each for the platform given (empty: it does not say)."""
    entries = {}
    for short, platform in packages.items():
        runtime = {"category": "app", "name": short, "version": "1"}
        farm = {"platform": platform} if platform else {}
        metadata = Metadata(f"{short}-app-1.package.tar.zst", {"sha256": "0" * 64}, runtime=runtime, farm=farm)
        entries[PackageId("app", short, "1")] = Entry(metadata, b"")
    config = RepositoryConfig(name, type="disk", enable=True, priority=priority)
    return config, Wagon(Repository(name, platform=stated), entries)


def offered(catalog: Catalog) -> list[tuple[str, str]]:
    return [(one.id.name, one.repository.name) for one in catalog.candidates]


def test_each_root_takes_its_own_of_two_wagons() -> None:
    wagons = [wagon("host", tool=HOST), wagon("arm", priority=1, tool=ARM)]
    assert offered(Catalog.of(wagons, Masks(), HOST)) == [("tool", "host")]
    assert offered(Catalog.of(wagons, Masks(), ARM)) == [("tool", "arm")]
    assert Catalog.of(wagons, Masks(), ARM).foreign == {}


def test_a_wagon_speaks_for_its_packages() -> None:
    wagons = [wagon("arm", ARM, tool="", other="")]
    assert offered(Catalog.of(wagons, Masks(), ARM)) == [("tool", "arm"), ("other", "arm")]
    assert set(Catalog.of(wagons, Masks(), HOST).foreign.values()) == {ARM}


def test_what_says_nothing_fits_everywhere() -> None:
    for platform in ("", ARM, HOST):
        assert offered(Catalog.of([wagon("plain", tool="")], Masks(), platform)) == [("tool", "plain")]


def test_a_new_root_is_of_the_first_package_that_says() -> None:
    found = Catalog.of([wagon("plain", tool=""), wagon("arm", one=ARM), wagon("host", two=HOST)], Masks(), "")
    assert offered(found) == [("tool", "plain"), ("one", "arm")]
    assert found.foreign == {PackageId("app", "two", "1"): HOST}


def test_an_older_arm_fits() -> None:
    assert offered(Catalog.of([wagon("old", tool="linux/arm/v6")], Masks(), "linux/arm/v7")) == [("tool", "old")]
    assert offered(Catalog.of([wagon("wide", tool=ARM)], Masks(), "linux/arm/v7")) == []


def test_a_foreign_package_is_told_as_such() -> None:
    catalog = Catalog.of([wagon("arm", tool=ARM)], Masks(), HOST)
    for text in ("tool", "app/tool", "app/tool@>=1"):
        with pytest.raises(FarmError) as caught:
            understand([text], names_of(catalog.candidates), "in the repositories", catalog.masked, catalog.foreign)
        assert [problem.code for problem in caught.value.problems] == ["foreign-package"]
        assert "system.platform: linux/arm64" in caught.value.problems[0].hint
    with pytest.raises(FarmError) as caught:
        understand(["app/nothing"], (), "in the repositories", catalog.masked, catalog.foreign)
    assert caught.value.problems[0].code == "unknown-target"


def test_what_is_needed_and_foreign_is_told_as_such(tmp_path: Path) -> None:
    here, there = wagon("host", tool=HOST), wagon("arm", library=ARM)
    (tool,) = here[1].packages.values()
    tool.metadata.runtime["requires"] = [{"category": "app", "name": "library", "version": ">=0"}]
    with Database(tmp_path / "db") as database, pytest.raises(FarmError) as caught:
        plan_install(Catalog.of([here, there], Masks(), HOST), database, ["app/tool"])
    (problem,) = caught.value.problems
    assert problem.code == "missing-requirement"
    assert f"app/library-1 is for {ARM}, and this root is not" in problem.message and not problem.hint


def test_repository_yaml_keeps_the_platform() -> None:
    plain, marked = Repository("mfs"), Repository("mfs", platform=ARM)
    assert b"platform" not in plain.to_yaml()
    assert read_repository(marked.to_yaml()) == marked
    assert not marked.same_content(plain)
    with pytest.raises(FarmError, match="platform"):
        read_repository(marked.to_yaml().replace(b"linux/arm64", b"[x]"))
