# SPDX-License-Identifier: GPL-3.0-or-later
"""Our wagons and the Go tool's keep the same contract."""

from __future__ import annotations

import shutil
from pathlib import Path

import contract
import pytest
from workshop import Workshop

from farm.spec.load import load
from farm.wagon.create import Request, create_wagon
from farm.wagon.prune import prune
from farm.wagon.revisions import WagonFolder

TREE = Path(__file__).parent.parent / "data" / "tree" / "packages"


@pytest.mark.parametrize("name", ["go", "minimal"])
def test_the_sample_wagons_keep_it(samples: Path, name: str) -> None:
    assert contract.check(samples / name) == []


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_our_wagons_keep_it(workshop: Workshop, compression: str) -> None:
    workshop.create(tree_compression=compression, compilertree=True, legacy=True)
    assert contract.check(workshop.output) == []


def test_a_wagon_of_the_go_tools_packages_keeps_it(samples: Path, tmp_path: Path) -> None:
    create_wagon(Request(load([TREE]), samples / "go", tmp_path / "wagon", name="ours"))
    assert contract.check(tmp_path / "wagon") == []


def test_one_made_in_place_of_the_go_tools_keeps_it(samples: Path, tmp_path: Path) -> None:
    folder = tmp_path / "wagon"
    shutil.copytree(samples / "go", folder)
    created = create_wagon(Request(load([TREE]), folder, folder, inherit=True))
    assert (created.repository.name, created.repository.revision) == ("refrepo", 2)
    assert contract.check(folder) == []


def test_a_further_name_may_be_that_of_the_go_tools_tree(samples: Path, tmp_path: Path) -> None:
    folder = tmp_path / "wagon"
    shutil.copytree(samples / "go", folder)
    create_wagon(Request(load([TREE]), folder, folder, inherit=True, tree_filename="tree.tar.zst"))
    assert contract.check(folder) == []
    assert WagonFolder(folder).kept() == [2]
    assert prune(folder, versions=1, keep=5, grace=0).files == ()


def test_the_check_sees_what_is_wrong(samples: Path, tmp_path: Path) -> None:
    folder = tmp_path / "wagon"
    shutil.copytree(samples / "go", folder)
    shutil.copy(folder / "small-meta-1.0.package.tar.zst", folder / "greet-lib-1.0.package.tar.zst")
    text = (folder / "repository.yaml").read_text()
    (folder / "repository.yaml").write_text(text.replace("revision: 1", 'revision: "1"').replace("urls:", "url:"))
    wrong = "\n".join(contract.check(folder))
    parts = ("another sha256", "files are not those", "revision is not whole", "unknown key url", "urls is missing")
    assert all(part in wrong for part in parts)
