# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of an upper directory, and what the digest says."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import subprocess
import tarfile
from pathlib import Path

import pytest
from conftest import needs_root
from storetree import commit, describe, layer, mounted, scramble, write_tree

from farm.spec.problem import FarmError
from farm.store.store import Store

pytestmark = needs_root


def test_digest_is_of_the_canonical_tar(store: Store) -> None:
    digest = commit(store, {"a/f": "x", "a/h": ("hard", "a/f"), "b": ("whiteout",), "c": ("fifo",)})
    out = io.BytesIO()
    store.write_layer_tar(digest, out)
    assert hashlib.sha256(out.getvalue()).hexdigest() == digest
    with tarfile.open(fileobj=io.BytesIO(out.getvalue())) as file:
        assert [(m.name, m.type) for m in file] == [("a", b"5"), ("a/f", b"0"), ("a/h", b"1"), ("c", b"6")]


def test_equal_entries_are_dropped(store: Store) -> None:
    base = commit(store, {"d/same": "x", "d/other": "x", "link": ("link", "d"), "e/f": "y"})
    top = commit(store, {"d/same": "x", "d/other": "z", "link": ("link", "d"), "e/f": "y"}, [base], epoch=7)
    assert set(layer(store, top)) == {"d", "d/other"}


def test_nothing_changed_is_the_empty_layer(store: Store) -> None:
    base = commit(store, {"d/same": "x"})
    assert commit(store, {"d/same": "x"}, [base]) == hashlib.sha256(bytes(1024)).hexdigest()


def test_metadata_changes_are_kept(store: Store) -> None:
    base = commit(store, {"d/f": "x", "e": None, "g": "x"})
    with store.scratch() as folder:
        upper = write_tree(folder / "u", {"d/f": "x", "e": None, "g": "x"})
        (upper / "d/f").chmod(0o4755)
        os.chown(upper / "e", 33, 44)
        os.setxattr(upper / "g", "user.note", b"\0\xff")
        top = store.commit_layer(upper, [store.layer_path(base)], epoch=1000).digest
    found = layer(store, top)
    assert set(found) == {"d", "d/f", "e", "g"}
    assert found["d/f"][1] == "0o4755"
    assert found["e"][2:4] == (33, 44)
    assert found["g"][6] == (("user.note", b"\0\xff"),)


def test_whiteouts_and_opaque_folders_of_nothing_are_dropped(store: Store) -> None:
    base = commit(store, {"there": "x", "dir/inner": "x"})
    upper = {
        "there": ("whiteout",),
        "gone": ("whiteout",),
        "new": ("opaque",),
        "dir": ("opaque",),
        "dir/n": ("whiteout",),
    }
    with store.scratch() as folder:
        info = store.commit_layer(write_tree(folder / "u", upper), [store.layer_path(base)], epoch=1000)
    assert info.deleted == ("/dir/inner", "/there")
    path = store.layer_path(info.digest)
    assert set(describe(path)) == {"there", "new", "dir"}
    assert os.listxattr(path / "dir") == ["user.overlay.opaque"]
    assert os.listxattr(path / "new") == []


def test_times_are_clamped_and_order_of_making_does_not_matter(store: Store) -> None:
    first = commit(store, {"b": "1", "a/x": "2", "l": ("link", "a")}, epoch=500)
    second = commit(store, {"l": ("link", "a"), "a/x": "2", "b": "1"}, epoch=500)
    assert first == second
    assert {values[8] for values in layer(store, first).values()} == {500}


def test_drop_leaves_paths_out(store: Store) -> None:
    digest = commit(store, {"luetbuild/x": "1", "a/b/c": "1", "a/d": "1"}, drop=["/luetbuild", "/a/b", "/none/x"])
    assert set(layer(store, digest)) == {"a", "a/d"}


def test_root_folder_is_always_plain(store: Store) -> None:
    with store.scratch() as folder:
        upper = write_tree(folder / "u", {"a": "1"})
        upper.chmod(0o700)
        digest = store.commit_layer(upper, []).digest
    assert oct(store.layer_path(digest).stat().st_mode & 0o7777) == "0o755"
    assert digest == commit(store, {"a": "1"})


def test_sockets_go_and_reserved_names_are_refused(store: Store) -> None:
    with store.scratch() as folder:
        upper = write_tree(folder / "u", {"a": "1"})
        os.mknod(upper / "s", stat.S_IFSOCK | 0o600)
        assert set(layer(store, store.commit_layer(upper, []).digest)) == {"a"}
    with pytest.raises(FarmError) as caught:
        commit(store, {".wh.x": "1"})
    assert caught.value.code == "reserved-name"


def test_overlay_features_that_cannot_be_read_are_refused(store: Store) -> None:
    with store.scratch() as folder, pytest.raises(FarmError) as caught:
        upper = write_tree(folder / "u", {"a/b": "1"})
        os.setxattr(upper / "a", "user.overlay.redirect", b"/x")
        store.commit_layer(upper, [])
    assert caught.value.code == "overlay-feature"


def test_names_that_are_no_text_and_deep_paths(store: Store, tmp_path: Path) -> None:
    with store.scratch() as folder:
        upper = write_tree(folder / "u", {})
        (upper / os.fsdecode(b"\xff\xfe")).write_text("x")
        _dig(upper, 110)
        info = store.commit_layer(upper, [])
    assert info.entries == 112
    with open(tmp_path / "deep.tar", "wb") as out:
        store.write_layer_tar(info.digest, out)
    assert store.import_layer(tmp_path / "deep.tar") == info
    assert store.flatten([info.digest]) == info.digest
    assert store.verify() == []


def _dig(folder: Path, depth: int) -> None:
    fd = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d" * 60, dir_fd=fd)
        inner = os.open("d" * 60, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = inner
    os.close(os.open("bottom", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
    os.close(fd)


@pytest.mark.parametrize("seed", range(6))
def test_layer_of_a_real_overlay_gives_the_same_root_again(store: Store, tmp_path: Path, seed: int) -> None:
    """Random changes in a mounted root, taken as a layer: the union of all layers is what was seen."""
    layers: list[str] = []
    for step in range(3):
        lowers = [store.layer_path(d) for d in layers] or [tmp_path]
        base = tmp_path / "empty"
        base.mkdir(exist_ok=True)
        with store.scratch() as work:
            with mounted([base, *lowers] if layers else [base], work) as (merged, upper):
                scramble(merged, seed * 10 + step)
                expected = describe(merged, times=False)
            layers.append(store.commit_layer(upper, lowers if layers else []).digest)
    assert describe(store.layer_path(store.flatten(layers)), times=False) == expected
    with mounted([store.layer_path(d) for d in layers], tmp_path / "w") as (merged, _):
        assert describe(merged, times=False) == expected


def test_devices_and_capabilities(store: Store) -> None:
    with store.scratch() as folder:
        upper = write_tree(folder / "u", {"ping": "x"})
        os.mknod(upper / "null", 0o20666, os.makedev(1, 3))
        subprocess.run(["setcap", "cap_net_raw+ep", upper / "ping"], check=False)
        os.setxattr(upper / "ping", "trusted.mine", b"1")
        digest = store.commit_layer(upper, []).digest
    out = io.BytesIO()
    store.write_layer_tar(digest, out)
    out.seek(0)
    with tarfile.open(fileobj=out) as file:
        device, ping = file.getmember("null"), file.getmember("ping")
    assert (device.type, device.devmajor, device.devminor) == (b"3", 1, 3)
    assert not any("trusted" in key for key in ping.pax_headers)
