# SPDX-License-Identifier: GPL-3.0-or-later
"""Root tarballs and source archives: nothing is lost, nothing leaves the root."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest
from conftest import needs_root
from storetree import commit, describe, layer, write_tree

from farm.plan.job import ArchiveInput
from farm.spec.problem import FarmError
from farm.store.store import Store

pytestmark = needs_root

Member = tuple[str, bytes, str]


def tarball(*members: Member) -> io.BytesIO:
    """A tarball of (name, type, link); regular files hold ``x``."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as file:
        for name, kind, link in members:
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.size = kind, link, 1 if kind == b"0" else 0
            file.addfile(info, io.BytesIO(b"x"))
    out.seek(0)
    return out


@pytest.mark.parametrize("packer", ["cat", "gzip", "bzip2", "xz", "zstd"])
def test_any_compression_with_all_metadata(store: Store, tmp_path: Path, packer: str) -> None:
    tree = write_tree(
        tmp_path / "t", {"a/f": b"x" * 5000, "a/h": ("hard", "a/f"), "l": ("link", "a"), "p": ("fifo",), "e": None}
    )
    (tree / "a/f").chmod(0o4750)
    os.chown(tree / "e", 12, 34)
    os.mknod(tree / "n", 0o20600, os.makedev(5, 1))
    os.setxattr(tree / "a/f", "user.x", b"\0\1")
    command = f"tar --xattrs -C {tree} -cf - . | {packer} > {tmp_path}/t.tar"
    subprocess.run(command, shell=True, check=True)
    info = store.import_layer(tmp_path / "t.tar")
    assert layer(store, info.digest) == describe(tree)
    inodes = {(store.layer_path(info.digest) / name).stat().st_ino for name in ("a/f", "a/h")}
    assert len(inodes) == 1


def test_import_of_a_layer_tar_gives_the_same_layer(store: Store, tmp_path: Path) -> None:
    base = commit(store, {"d/x": "1", "gone": "1"})
    top = commit(store, {"d": ("opaque",), "d/y": "1", "gone": ("whiteout",)}, [base])
    with open(tmp_path / "t", "wb") as out:
        store.write_layer_tar(top, out)
    assert store.import_layer(tmp_path / "t").digest == top


def test_skip_strip_and_epoch(store: Store) -> None:
    data = tarball(("r/dev", b"5", ""), ("r/dev/null", b"3", ""), ("r/etc/x", b"0", ""), ("top", b"0", ""))
    digest = store.import_layer(data, strip=1, epoch=5).digest
    assert set(layer(store, digest)) == {"dev", "etc", "etc/x"}


@pytest.mark.parametrize(
    "members",
    [
        [("../evil", b"0", "")],
        [("a/../../evil", b"0", "")],
        [("a", b"2", "/tmp"), ("a/evil", b"0", "")],
        [("a", b"2", ".."), ("a/evil", b"5", "")],
        [("a", b"0", ""), ("a/evil", b"0", "")],
    ],
)
def test_nothing_leaves_the_root(store: Store, members: list[Member]) -> None:
    with pytest.raises(FarmError) as caught:
        store.import_layer(tarball(*members))
    assert caught.value.code == "unsafe-archive"


@pytest.mark.parametrize("link", ["/etc/passwd", "../../etc/passwd", "missing"])
def test_hard_links_stay_inside(store: Store, link: str) -> None:
    with pytest.raises(FarmError) as caught:
        store.import_layer(tarball(("a", b"1", link)))
    assert caught.value.code in ("unsafe-archive", "bad-archive")


def test_absolute_names_are_confined_and_later_entries_win(store: Store) -> None:
    members = [("/a/b", b"0", ""), ("./a/b", b"2", "c"), ("d", b"2", "/etc"), ("d", b"0", "")]
    found = layer(store, store.import_layer(tarball(*members)).digest)
    assert {name: values[0] for name, values in found.items()} == {"a": b"5", "a/b": b"2", "d": b"0"}


@pytest.mark.parametrize(
    "data", [b"", b"\x1f\x8bgarbage", b"\x28\xb5\x2f\xfdgarbage", b"<html>" * 200, b"BZh9xx", b"PK\x03\x04xx"]
)
def test_what_is_no_archive(store: Store, data: bytes) -> None:
    with pytest.raises(FarmError) as caught:
        store.import_layer(io.BytesIO(data))
    assert caught.value.code == "bad-archive"


def test_a_cut_archive_is_found(store: Store, tmp_path: Path) -> None:
    write_tree(tmp_path / "t", {"f": os.urandom(3_000_000)})
    for packer in ("gzip", "zstd", "xz", "bzip2"):
        subprocess.run(
            f"tar -C {tmp_path}/t -c f | {packer} | head -c 1000000 > {tmp_path}/cut", shell=True, check=True
        )
        with pytest.raises(FarmError) as caught:
            store.import_layer(tmp_path / "cut")
        assert caught.value.code == "bad-archive"


def test_endless_sparse_file_is_bounded_by_free_space(store: Store, tmp_path: Path) -> None:
    huge = tmp_path / "huge"
    with open(huge, "wb") as file:
        file.truncate(8 << 40)
    subprocess.run(["tar", "-S", "-C", tmp_path, "-cf", tmp_path / "t.tar", "huge"], check=True)
    from farm.store import builder

    free, builder._RESERVE = builder._RESERVE, 1 << 60
    try:
        with pytest.raises(FarmError) as caught:
            store.import_layer(tmp_path / "t.tar")
    finally:
        builder._RESERVE = free
    assert (caught.value.code, caught.value.transient) == ("disk-full", True)


def test_sources_belong_to_root_and_lose_their_top_folder(store: Store, tmp_path: Path) -> None:
    tree = write_tree(
        tmp_path / "t", {"p-1.0/src/a": "1", "p-1.0/b": ("hard", "p-1.0/src/a"), "p-1.0/l": ("link", "src")}
    )
    os.chown(tree / "p-1.0/src/a", 1000, 1000)
    subprocess.run(["tar", "-C", tree, "-czf", tmp_path / "s.tgz", "p-1.0"], check=True)
    digest = _source(store, tmp_path / "s.tgz", strip=1)
    found = layer(store, digest)
    assert set(found) == {"w", "w/src", "w/src/a", "w/b", "w/l"}
    assert found["w/b"][2:4] == (0, 0)


def test_zip_and_deb(store: Store, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "s.zip", "w") as file:
        info = zipfile.ZipInfo("p/run")
        info.external_attr = 0o100755 << 16
        file.writestr(info, "#!")
        link = zipfile.ZipInfo("p/link")
        link.external_attr = 0o120777 << 16
        file.writestr(link, "run")
    found = layer(store, _source(store, tmp_path / "s.zip", strip=1))
    assert (found["w/run"][1], found["w/link"][4]) == ("0o755", b"run")
    write_tree(
        tmp_path / "deb",
        {"DEBIAN/control": "Package: x\nVersion: 1\nArchitecture: all\nMaintainer: m\nDescription: d\n", "usr/x": "1"},
    )
    subprocess.run(["dpkg-deb", "-b", tmp_path / "deb", tmp_path / "x.deb"], check=True, capture_output=True)
    assert {"w/usr", "w/usr/x"} <= set(layer(store, _source(store, tmp_path / "x.deb")))


def _source(store: Store, archive: Path, strip: int = 0) -> str:
    digest = store.put_blob(archive)
    return store.context_layer([ArchiveInput(digest, "/w", strip)], workdir="/w")
