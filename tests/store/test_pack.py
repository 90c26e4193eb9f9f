# SPDX-License-Identifier: GPL-3.0-or-later
"""Package tarballs: what is in them, and that they are always the same bytes."""

from __future__ import annotations

import dataclasses
import io
import os
import tarfile
from typing import Literal

import pytest
import zstandard
from conftest import needs_root
from storetree import commit, write_tree

from farm.plan.job import Pack
from farm.spec.problem import FarmError
from farm.store import compress
from farm.store.store import Store

pytestmark = needs_root


def content(store: Store, action: Pack) -> list[str]:
    """Names in the package, folders with a slash."""
    info = store.pack(dataclasses.replace(action, compression="none"))
    with tarfile.open(store.blob_path(info.digest)) as file:
        return [member.name + ("/" if member.isdir() else "") for member in file]


@pytest.fixture
def layers(store: Store) -> tuple[str, ...]:
    base = commit(
        store, {"etc/issue": "a", "etc/net": "n", "opt/x/deep/f": "1", "usr/lib": None, "lib": ("link", "usr/lib")}
    )
    files = {"etc/issue": "changed", "etc/net": ("whiteout",), "luetbuild/junk": "1", "usr/lib/so": "1", "empty": None}
    return base, commit(store, files, [base])


def test_empty_package_is_two_zero_blocks(store: Store) -> None:
    info = store.pack(Pack(compression="none"))
    assert store.blob_path(info.digest).read_bytes() == bytes(1024)


def test_delta(store: Store, layers: tuple[str, ...]) -> None:
    action = Pack(layers, "delta")
    assert content(store, action) == ["empty/", "etc/", "etc/issue", "usr/", "usr/lib/", "usr/lib/so"]
    info = store.pack(action)
    assert (info.files, info.deleted) == (2, ("/etc/net",))


def test_delta_names_what_an_opaque_folder_hides(store: Store) -> None:
    base = commit(store, {"d/x": "1", "d/in/y": "1", "d/in/z": "1"})
    top = commit(store, {"d": ("opaque",), "d/in/z": "2"}, [base])
    assert store.pack(Pack((base, top), "delta")).deleted == ("/d/in/y", "/d/x")


def test_whole_root_without_the_workdir(store: Store, layers: tuple[str, ...]) -> None:
    names = content(store, Pack(layers, "root"))
    assert "luetbuild/" not in names
    assert {"etc/issue", "opt/x/deep/f", "lib", "empty/"} <= set(names)
    assert "etc/net" not in names


def test_folder_through_links(store: Store, layers: tuple[str, ...]) -> None:
    assert content(store, Pack(layers, "dir", "/lib")) == ["so"]
    assert content(store, Pack(layers, "dir", "/luetbuild/")) == ["junk"]
    assert content(store, Pack(layers, "dir", "/empty")) == []


@pytest.mark.parametrize("root", ["/opt/y", "/nowhere", "/etc/issue"])
def test_missing_folder(store: Store, layers: tuple[str, ...], root: str) -> None:
    with pytest.raises(FarmError) as caught:
        store.pack(Pack(layers, "dir", root))
    assert caught.value.code == "package-dir-missing"


def test_link_that_leaves_the_root_stays_inside(store: Store) -> None:
    digest = commit(store, {"a": ("link", "../../../../tmp"), "tmp/f": "1"})
    assert content(store, Pack((digest,), "dir", "/a")) == ["f"]


def test_includes_keep_parents_and_excludes_take_all_below(store: Store) -> None:
    digest = commit(store, {"usr/bin/a": "1", "usr/share/doc/a": "1", "usr/share/man/a": "1", "etc/a": "1"})
    action = Pack((digest,), "root", includes=("^/usr/bin/", "/man/"), excludes=("^/etc$",))
    assert content(store, action) == [
        "usr/",
        "usr/bin/",
        "usr/bin/a",
        "usr/share/",
        "usr/share/man/",
        "usr/share/man/a",
    ]
    assert content(store, Pack((digest,), "root", excludes=("^/usr/share$", "^/etc"))) == [
        "usr/",
        "usr/bin/",
        "usr/bin/a",
    ]
    assert content(store, Pack((digest,), "dir", "/usr", includes=("^/bin/a$",))) == ["bin/", "bin/a"]


def test_first_kept_name_of_a_file_has_the_content(store: Store) -> None:
    digest = commit(store, {"a": "data", "b": ("hard", "a"), "c": ("hard", "a")})
    info = store.pack(Pack((digest,), "root", excludes=("^/a$",), compression="none"))
    with tarfile.open(store.blob_path(info.digest)) as file:
        assert [(m.name, m.type, m.linkname) for m in file] == [("b", b"0", ""), ("c", b"1", "b")]


def test_folders_keep_mode_and_owner(store: Store) -> None:
    with store.scratch() as folder:
        upper = write_tree(folder / "u", {"opt/d/f": "1"})
        (upper / "opt/d").chmod(0o2750)
        os.chown(upper / "opt/d", 3, 4)
        digest = store.commit_layer(upper, []).digest
    info = store.pack(Pack((digest,), "delta", compression="gzip"))
    with tarfile.open(store.blob_path(info.digest)) as file:
        member = file.getmember("opt/d")
    assert (member.mode, member.uid, member.gid, member.uname) == (0o2750, 3, 4, "")


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_same_bytes_every_time(store: Store, compression: Literal["none", "gzip", "zstd"]) -> None:
    first = commit(store, {"a": os.urandom(100_000) * 30, "b/c": "1"})
    with store.scratch() as folder:
        with open(folder / "t", "wb") as out:
            store.write_layer_tar(first, out)
        second = store.import_layer(folder / "t").digest
    packed = {
        store.pack(Pack((d,), rule, compression=compression)).digest
        for d in (first, second)
        for rule in ("root", "delta")
    }
    assert len(packed) == 1


def test_zstd_does_not_depend_on_cores_or_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    data = b"".join(os.urandom(2000) * 9 for _ in range(1000))
    made = set()
    for cores, size in [(1, 1 << 20), (2, 1 << 20), (7, 3_000_000), (2, len(data))]:
        monkeypatch.setattr(os, "cpu_count", lambda cores=cores: cores)
        packer = compress.compressor("zstd")
        pieces = [packer.compress(data[at : at + size]) for at in range(0, len(data), size)]
        made.add(b"".join([*pieces, packer.flush()]))
    small = compress.compressor("zstd")
    made.add(b"".join([*(small.compress(data[at : at + 1000]) for at in range(0, len(data), 1000)), small.flush()]))
    assert len(made) == 1
    assert zstandard.ZstdDecompressor().stream_reader(io.BytesIO(made.pop())).read() == data


def test_bad_regex(store: Store) -> None:
    with pytest.raises(FarmError) as caught:
        store.pack(Pack((), "root", includes=("(",)))
    assert caught.value.code == "bad-regex"
