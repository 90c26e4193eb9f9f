# SPDX-License-Identifier: GPL-3.0-or-later
"""Making wagons and their next revisions."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
import threading
from pathlib import Path
from typing import Any

import pytest
import zstandard
from workshop import Workshop, digest, tarball

from farm.spec.model import PackageId
from farm.spec.problem import FarmError
from farm.wagon.create import epoch_of
from farm.wagon.metadata import read_metadata
from farm.wagon.reading import open_wagon

GREET = PackageId("lib", "greet", "1.0")


def content(folder: Path) -> dict[str, bytes]:
    """All files of a wagon that clients see."""
    paths = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def members(archive: bytes) -> dict[str, tarfile.TarInfo]:
    """Entries of a zstd tarball."""
    plain = zstandard.ZstdDecompressor().stream_reader(archive).read()
    with tarfile.open(fileobj=io.BytesIO(plain)) as tar:
        return {entry.name: entry for entry in tar}


def refused(workshop: Workshop, **options: Any) -> list[str]:
    """Codes of the problems; the wagon must be left as it was."""
    before = content(workshop.output) if workshop.output.exists() else {}
    with pytest.raises(FarmError) as caught:
        workshop.create(**options)
    assert (content(workshop.output) if workshop.output.exists() else {}) == before
    return [problem.code for problem in caught.value.problems]


def test_what_is_in_a_wagon(workshop: Workshop) -> None:
    created = workshop.create(description="Test wagon", urls=("http://127.0.0.1/",), priority=5)
    wagon = workshop.wagon()
    assert created.changed
    assert (wagon.repository.revision, wagon.repository.priority, wagon.repository.description) == (1, 5, "Test wagon")
    assert [str(id) for id in wagon.packages] == ["app/editor-1.0", "app/greeter-1.0", "lib/greet-1.0"]
    assert list(wagon.provides) == ["virtual/editor"]
    editor = wagon.packages[PackageId("app", "editor", "1.0")]
    assert editor.finalizer == {"install": ["echo free"]}
    assert editor.metadata.compilespec["package"]["annotations"] == {"config_protect": "/etc/editor"}
    greet = wagon.packages[GREET].metadata
    assert greet.path == "greet-lib-1.0.package.tar.zst"
    assert greet.size == (workshop.output / greet.path).stat().st_size
    for name, sha256 in greet.beside.items():
        assert digest((workshop.output / name).read_bytes()) == sha256
    described = read_metadata(workshop.output / "greet-lib-1.0.metadata.yaml")
    assert described.farm["digests"] == {"usr/bin/greet": digest(b"1.0")}
    assert described.farm["installed_size"] == 3


def test_the_same_content_gives_the_same_bytes(workshop: Workshop, tmp_path: Path) -> None:
    workshop.create(compilertree=True, legacy=True)
    other = tmp_path / "elsewhere"
    shutil.copytree(workshop.tree, other / "tree")
    shutil.copytree(workshop.packages, other / "packages")
    for path in [*other.rglob("*"), other]:
        os.utime(path, (1, 1))
        path.chmod(0o700 if path.is_dir() else 0o600)
    Workshop(other).create(compilertree=True, legacy=True)
    assert content(other / "wagon") == content(workshop.output)


def test_nothing_of_this_host_is_published(workshop: Workshop) -> None:
    workshop.create(compilertree=True, legacy=True)
    for name, data in content(workshop.output).items():
        plain = zstandard.ZstdDecompressor().stream_reader(data).read() if name.endswith(".zst") else data
        assert str(workshop.root).encode() not in plain, name
        assert os.uname().nodename.encode() not in plain, name


def test_go_metadata_is_published_without_its_host(samples: Path, workshop: Workshop) -> None:
    for path in (samples / "go").glob("greet-lib-1.0.*"):
        shutil.copy(path, workshop.packages)
    (workshop.packages / "greet-lib-1.0.package.tar").unlink(missing_ok=True)
    workshop.create()
    text = (workshop.output / "greet-lib-1.0.metadata.yaml").read_text()
    assert not any(word in text for word in ("buildtimestamp", "treedir", "/build/", "build_options"))
    assert read_metadata(text.encode()).files[0] == "usr/include/greet.h"


def test_the_revision_is_raised_only_by_a_change(workshop: Workshop) -> None:
    workshop.create()
    before = content(workshop.output)
    assert not workshop.create().changed
    assert content(workshop.output) == before
    workshop.define("lib/greet", description="Other words")
    created = workshop.create()
    assert (created.changed, created.repository.revision) == (True, 2)
    assert created.repository.last_update != open_wagon_at(workshop, 1).last_update
    assert not workshop.create(epoch=123).changed


def open_wagon_at(workshop: Workshop, revision: int) -> Any:
    """An earlier revision's repository.yaml."""
    from farm.wagon.revisions import WagonFolder

    return WagonFolder(workshop.output).revision(revision)


def test_last_update_is_the_given_epoch(workshop: Workshop) -> None:
    assert workshop.create(epoch=123).repository.last_update == "123"
    assert epoch_of({"SOURCE_DATE_EPOCH": "7"}) == 7
    assert epoch_of({}) is None
    with pytest.raises(FarmError) as caught:
        epoch_of({"SOURCE_DATE_EPOCH": "now"})
    assert caught.value.code == "bad-epoch"


def test_nothing_sticks_that_the_call_overrides(workshop: Workshop) -> None:
    workshop.create(name="one", description="old", urls=("http://a/",), priority=1, type="disk")
    kept = workshop.create(name=None, inherit=True, description="new").repository
    assert (kept.name, kept.description, kept.urls, kept.priority, kept.type) == (
        "one",
        "new",
        ("http://a/",),
        1,
        "disk",
    )
    emptied = workshop.create(name="two", inherit=True, description="", urls=()).repository
    assert (emptied.name, emptied.description, emptied.urls) == ("two", "", ())
    fresh = workshop.create(name="three").repository
    assert (fresh.description, fresh.urls, fresh.priority, fresh.type, fresh.revision) == ("", (), 9999, "http", 4)


def test_revision_one_again(workshop: Workshop) -> None:
    workshop.create()
    workshop.define("lib/greet", description="x")
    workshop.create()
    assert workshop.create(reset_revision=True).repository.revision == 1
    assert open_wagon(workshop.output).packages[GREET].definition["description"] == "x"


def test_all_that_is_wrong_is_told_at_once(workshop: Workshop) -> None:
    workshop.create()
    for name in ("greet-lib", "greeter-app", "editor-app"):
        shutil.copy(workshop.output / f"{name}-1.0.metadata.yaml", workshop.packages)
    (workshop.packages / "greet-lib-1.0.package.tar.zst").unlink()
    workshop.build("app/greeter", files={"other": "bytes"})
    (workshop.packages / "editor-app-1.0.metadata.yaml").write_text("path: [")
    assert sorted(refused(workshop)) == ["bad-yaml", "missing-tarball", "package-digest-mismatch"]


def test_what_else_is_refused(workshop: Workshop, tmp_path: Path) -> None:
    assert refused(workshop, packages=tmp_path / "none") == ["missing-packages"]
    assert refused(workshop, name=None) == ["missing-name"]
    assert refused(workshop, name=None, inherit=True) == ["no-wagon"]
    workshop.create()
    shutil.copy(workshop.output / "greet-lib-1.0.metadata.yaml", workshop.packages / "greeter-app-1.0.metadata.yaml")
    assert refused(workshop) == ["wrong-package"]
    (workshop.packages / "greeter-app-1.0.metadata.yaml").unlink()
    (workshop.packages / "greet-lib-1.0.package.tar.zst").write_bytes(b"no archive")
    assert refused(workshop) == ["bad-archive"]
    empty = tmp_path / "empty"
    empty.mkdir()
    assert refused(workshop, packages=empty) == ["no-packages"]
    folder = workshop.define("lib/greet", requires=7)
    workshop.build("lib/greet")
    assert "wrong-type" in refused(workshop)
    shutil.rmtree(folder)
    workshop.create()


def test_what_is_left_out(workshop: Workshop) -> None:
    workshop.define("lib/unbuilt")
    workshop.create(packages=workshop.packages)
    shutil.copy(workshop.output / "greet-lib-1.0.metadata.yaml", workshop.packages / "gone-lib-2.0.metadata.yaml")
    collected = workshop.create().collected
    assert [str(id) for id in collected.not_built] == ["lib/unbuilt-1.0"]
    assert collected.not_in_tree == ("gone-lib-2.0.metadata.yaml",)


@pytest.mark.parametrize("in_place", [False, True])
def test_other_bytes_get_another_file(workshop: Workshop, in_place: bool) -> None:
    where = {"output": workshop.packages} if in_place else {}
    output = workshop.packages if in_place else workshop.output
    workshop.create(**where)
    old = (output / "greet-lib-1.0.package.tar.zst").read_bytes()
    (output / "greet-lib-1.0.metadata.yaml").unlink()
    new = workshop.build("lib/greet", files={"usr/bin/greet": "rebuilt"}).read_bytes()
    created = workshop.create(**where)
    assert [problem.code for problem in created.warnings] == ["package-changed"]
    metadata = open_wagon(output).packages[GREET].metadata
    assert metadata.path == f"greet-lib-1.0.{digest(new)[:12]}.package.tar.zst"
    assert (output / metadata.path).read_bytes() == new
    if not in_place:
        assert (output / "greet-lib-1.0.package.tar.zst").read_bytes() == old
    again = workshop.create(**where)
    assert (again.changed, again.warnings) == (False, ())


def test_other_bytes_get_another_version_if_wanted(workshop: Workshop) -> None:
    workshop.create()
    versions = []
    for number in range(3):
        workshop.build("lib/greet", files={"usr/bin/greet": f"rebuilt {number}"})
        assert workshop.create(bump_changed=True).warnings == ()
        assert not workshop.create().changed
        [id] = [id for id in workshop.wagon().packages if id.name == "greet"]
        entry = workshop.wagon().packages[id]
        assert entry.definition["version"] == id.version
        assert entry.metadata.path == f"greet-lib-{id.version}.package.tar.zst"
        described = read_metadata(workshop.output / f"greet-lib-{id.version}.metadata.yaml")
        assert (described.id, described.path) == (id, entry.metadata.path)
        versions.append(id.version)
    assert versions == ["1.0+1", "1.0+2", "1.0+3"]


def test_a_bumped_version_passes_over_one_that_the_tree_has(workshop: Workshop) -> None:
    workshop.both("lib/greet", "1.0+1")
    workshop.create()
    workshop.build("lib/greet", files={"usr/bin/greet": "rebuilt"})
    workshop.create(bump_changed=True)
    assert [id.version for id in workshop.wagon().packages if id.name == "greet"] == ["1.0+1", "1.0+2"]


def test_the_compiler_tree_is_the_tree_alone(workshop: Workshop) -> None:
    (workshop.root / "secret").write_text("x")
    (workshop.tree / ".git").mkdir()
    (workshop.tree / ".git" / "config").write_text("x")
    (workshop.tree / "lib" / "link").symlink_to("greet-1.0")
    repository = workshop.create(compilertree=True).repository
    found = members((workshop.output / repository.repo_files["compilertree"].filename).read_bytes())
    assert "tree/lib/greet-1.0/definition.yaml" in found
    assert all(name == "tree" or name.startswith("tree/") for name in found)
    assert not any(".git" in name for name in found)
    assert found["tree/lib/link"].linkname == "greet-1.0"


def test_a_further_name_for_old_scripts(workshop: Workshop) -> None:
    repository = workshop.create(tree_filename="tree.tar.zst").repository
    name = repository.repo_files["treev2"].filename
    assert name != "tree.tar.zst"
    assert (workshop.output / "tree.tar.zst").read_bytes() == (workshop.output / name).read_bytes()
    assert not (workshop.output / "tree.tar.zst").samefile(workshop.output / name)


def test_the_last_revisions_are_kept(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    from farm.wagon.revisions import WagonFolder

    monkeypatch.setattr("farm.wagon.revisions.GRACE", 0.0)
    for number in range(6):
        workshop.define("lib/greet", description=f"words {number}")
        workshop.create(keep=3)
    folder = WagonFolder(workshop.output)
    assert folder.kept() == [4, 5, 6]
    for number in folder.kept():
        for file in folder.revision(number).repo_files.values():
            assert (workshop.output / file.filename).exists()


def test_a_tree_just_replaced_stays_a_while(workshop: Workshop) -> None:
    names = []
    for number in range(4):
        workshop.define("lib/greet", description=f"words {number}")
        names.append(workshop.create(keep=1).repository.repo_files["treev2"].filename)
    assert all((workshop.output / name).exists() for name in names)


def test_a_damaged_revision_is_replaced(workshop: Workshop) -> None:
    repository = workshop.create().repository
    (workshop.output / repository.repo_files["treev2"].filename).write_bytes(b"damaged")
    workshop.define("lib/greet", description="new")
    assert [problem.code for problem in workshop.create().warnings] == ["damaged-revision"]
    assert len(workshop.wagon().packages) == 3


def test_what_a_crash_left_is_removed(workshop: Workshop) -> None:
    workshop.output.mkdir()
    (workshop.output / ".part-1-dead").write_bytes(b"half")
    workshop.create()
    assert not list(workshop.output.glob(".part*"))


def test_bumps_at_the_same_time_wait_for_each_other(workshop: Workshop) -> None:
    workshop.create()
    failures: list[BaseException] = []

    def bump(number: int) -> None:
        try:
            workshop.create(description=str(number))
        except BaseException as failure:  # noqa: BLE001 - shown by the assertion
            failures.append(failure)

    threads = [threading.Thread(target=bump, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert workshop.wagon().repository.revision == 7


def test_a_package_that_is_not_compressed(workshop: Workshop) -> None:
    (workshop.packages / "greet-lib-1.0.package.tar.zst").unlink()
    plain = zstandard.ZstdDecompressor().stream_reader(tarball({"a": "b"})).read()
    (workshop.packages / "greet-lib-1.0.package.tar").write_bytes(plain)
    created = workshop.create()
    assert [problem.code for problem in created.warnings] == ["uncompressed-package"]
    assert workshop.wagon().packages[GREET].metadata.compression == "none"
