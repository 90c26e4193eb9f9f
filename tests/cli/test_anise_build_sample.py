# SPDX-License-Identifier: GPL-3.0-or-later
"""The sample tree, built and published as its Makefile would, against the wagon that the Go tool made of it.

Every difference is named here; each is what the Go tool loses (docs/compatibility.md).
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml
import zstandard
from anise_build_command import AniseBuild

from farm.plan.job import EPOCH
from farm.wagon.reading import open_wagon

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("mmdebstrap"), reason="needs root and mmdebstrap"),
]

DATA = Path(__file__).parents[1] / "data"
GO = DATA / "wagons" / "go"
FARM_YAML = """
seeds:
  bookworm: {debootstrap: {suite: bookworm, packages: [gcc, libc6-dev, make, libcap2-bin]}}
images:
  refluet/gcc:1: bookworm
  debian:bookworm-min: bookworm
"""
BUILD = (
    "--config", "luet-build.yaml", "build", "--tree", "packages", "--values", "values/amd64.yaml", "--all",
    "--image-repository", "refluet/cache", "--compression", "zstd", "--backend", "dockerv3", "--concurrency", "2",
    "--only-target-package", "--destination", "out/repo",
)  # fmt: skip
CREATE = (
    "create-repo", "--tree", "packages", "--output", "out/repo", "--packages", "out/repo", "--name", "refrepo",
    "--descr", "Reference wagon", "--urls", "http://127.0.0.1:18777/", "--tree-compression", "zstd",
    "--tree-filename", "tree.tar.zst", "--with-compilertree", "--type", "http",
)  # fmt: skip

CHANGED_FILES_ARE_LOST = {"etc": "new", "etc/issue": "new"}
EMPTY_FOLDERS_ARE_LOST = dict.fromkeys(("var", "var/lib", "var/lib/greet", "var/lib/greet/emptydir"), "new")
BUILD_CONTEXT_IS_PACKED = {
    f"luetbuild{name}": "gone"
    for name in (
        "",
        "/build.yaml",
        "/definition.yaml",
        "/bundle-app-1.0.dockerfile",
        "/bundle-app-1.0-builder.dockerfile",
    )
}

DIFFERENCES: dict[str, dict[str, str]] = {
    "greet-lib-1.0": CHANGED_FILES_ARE_LOST | EMPTY_FOLDERS_ARE_LOST,
    "greeter-app-1.0": {
        "etc/greeter.conf": "owner",  # docker cp makes all files root's
        "usr/bin/greeter-hard": "capability",  # a hard link has what its file has; the Go tool writes it twice
    },
    "bundle-app-1.0": {
        **{name: what for name, what in CHANGED_FILES_ARE_LOST.items() if name != "etc"},
        **{name: what for name, what in EMPTY_FOLDERS_ARE_LOST.items() if name != "var"},
        **BUILD_CONTEXT_IS_PACKED,
        "etc/greeter.conf": "owner",
        "usr/bin/greeter": "mode",  # joining loses set-id bits
        "usr/bin/greeter-cap": "capability",  # and capabilities
    },
    "multi-app-1.0": {
        "usr/share/multi/env.txt": "content",  # has Docker's HOSTNAME
        "usr/share/multi/luetbuild.txt": "content",  # lists the build contexts of all packages below
    },
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> AniseBuild:
    """The sample tree, built and published in ``out/repo``. Its seed is a Debian of the host's own mirror."""
    work = tmp_path_factory.mktemp("sample") / "work"
    shutil.copytree(DATA / "tree", work)
    (work / "farm.yaml").write_text(FARM_YAML)
    (work / "luet-build.yaml").write_text("general: {debug: false}\n")
    anise = AniseBuild(work)
    ran = anise(*BUILD, limit=540)
    assert ran.status == 0, ran.err
    ran = anise(*CREATE)
    assert ran.status == 0, ran.err
    return anise


def entries(tarball: Path) -> dict[str, dict[str, Any]]:
    """What a package holds, by path: all that is kept but for the time, which comes under its own key."""
    plain = zstandard.ZstdDecompressor().stream_reader(tarball.read_bytes()).read()
    with tarfile.open(fileobj=io.BytesIO(plain)) as tar:
        return {entry.name: described(tar, entry) for entry in tar}


def described(tar: tarfile.TarFile, entry: tarfile.TarInfo) -> dict[str, Any]:
    """One entry. Of programs only that they are: their bytes are the compiler's affair."""
    file = tar.extractfile(entry) if entry.isreg() else None
    data = file.read() if file else b""
    content = "program" if data.startswith(b"\x7fELF") else hashlib.sha256(data).hexdigest()
    return {
        "kind": entry.type,
        "mode": entry.mode,
        "owner": (entry.uid, entry.gid),
        "link": entry.linkname,
        "capability": entry.pax_headers.get("SCHILY.xattr.security.capability"),
        "content": content,
        "time": int(entry.mtime),
    }


def differences(theirs: dict[str, Any], ours: dict[str, Any]) -> dict[str, str]:
    """What is different, by path."""
    found = dict.fromkeys(ours.keys() - theirs.keys(), "new") | dict.fromkeys(theirs.keys() - ours.keys(), "gone")
    for name in theirs.keys() & ours.keys():
        keys = [key for key in theirs[name] if key != "time" and theirs[name][key] != ours[name][key]]
        found |= {name: ",".join(keys)} if keys else {}
    return found


def test_the_same_files(built: AniseBuild) -> None:
    ours = {path.name for path in (built.folder / "out" / "repo").iterdir()}
    theirs = {path.name for path in GO.iterdir()}
    assert theirs - ours == {"compilertree.tar.zst"}  # has its digest in its name, so that a bump is one step


@pytest.mark.parametrize(
    "name", sorted(path.name.removesuffix(".metadata.yaml") for path in GO.glob("*.metadata.yaml"))
)
def test_contents(built: AniseBuild, name: str) -> None:
    file = f"{name}.package.tar.zst"
    theirs, ours = entries(GO / file), entries(built.folder / "out" / "repo" / file)
    assert differences(theirs, ours) == DIFFERENCES.get(name, {})
    assert list(ours) == sorted(ours, key=lambda path: path.split("/"))
    times = {path: entry["time"] for path, entry in ours.items() if entry["time"] != EPOCH}
    assert times == ({"etc/greeter.conf": 981173106} if "etc/greeter.conf" in ours else {})


@pytest.mark.parametrize("name", sorted(path.name for path in GO.glob("*.metadata.yaml")))
def test_metadata(built: AniseBuild, name: str) -> None:
    theirs, ours = (yaml.safe_load((folder / name).read_text()) for folder in (GO, built.folder / "out" / "repo"))
    runtime = {key: value for key, value in theirs["runtime"].items() if value not in ([], {}, None, "")}
    assert ours["runtime"] == runtime
    assert ours["path"] == Path(theirs["path"]).name
    assert ours["compressiontype"] == theirs["compressiontype"]
    gained = DIFFERENCES.get(name.removesuffix(".metadata.yaml"), {})
    assert set(ours["files"]) - set(theirs["files"] or ()) <= {path for path, what in gained.items() if what == "new"}
    assert set(theirs["files"] or ()) - set(ours["files"]) <= {path for path, what in gained.items() if what == "gone"}


def test_the_wagon(built: AniseBuild) -> None:
    ours, theirs = open_wagon(built.folder / "out" / "repo"), open_wagon(GO)
    assert ours.packages.keys() == theirs.packages.keys()
    assert ours.repository.name == "refrepo"
    assert set(ours.repository.repo_files) == set(theirs.repository.repo_files)
    assert ours.provides.keys() == theirs.provides.keys()


def test_again_is_the_cache_and_the_same_wagon(built: AniseBuild) -> None:
    repo = built.folder / "out" / "repo"
    before = {path.name: path.read_bytes() for path in repo.iterdir() if path.is_file()}
    ran = built(*BUILD)
    assert (ran.status, "100% from the cache" in ran.out) == (0, True)
    assert "Unchanged" in built(*CREATE).out
    assert {path.name: path.read_bytes() for path in repo.iterdir() if path.is_file()} == before
