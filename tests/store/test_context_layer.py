# SPDX-License-Identifier: GPL-3.0-or-later
"""The layer of a job's inputs."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from conftest import needs_root
from storetree import commit, layer, write_tree

from farm.plan.job import CopyInput, FileInput
from farm.spec.problem import FarmError
from farm.store.store import Store

pytestmark = needs_root


def test_files_from_the_tree(store: Store, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("hello")
    digest = hashlib.sha256(b"hello").hexdigest()
    inputs = [
        FileInput("/w/sub", mode=0o755),
        FileInput("/w/sub/f", digest, 0o755, origin=str(tmp_path / "f")),
        FileInput("/w/l", link="sub/f"),
    ]
    made = store.context_layer(inputs, workdir="/w", epoch=9)
    found = layer(store, made)
    assert set(found) == {"w", "w/sub", "w/sub/f", "w/l"}
    assert (found["w/sub/f"][1], found["w/sub/f"][7:]) == ("0o755", (b"hello", 9))
    assert os.getxattr(store.layer_path(made) / "w", "user.overlay.opaque") == b"y"
    (tmp_path / "f").unlink()
    assert store.context_layer(inputs, workdir="/w", epoch=9) == made


def test_no_inputs_still_hide_the_workdir_of_others(store: Store) -> None:
    made = store.context_layer([], workdir="/luetbuild")
    below = commit(store, {"luetbuild/x": "1"})
    assert set(layer(store, store.flatten([below, made]))) == {"luetbuild"}


def test_changed_and_missing_files(store: Store, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("new")
    for origin, code in ((tmp_path / "f", "tree-changed"), (tmp_path / "g", "missing-blob")):
        with pytest.raises(FarmError) as caught:
            store.context_layer([FileInput("/w/f", "0" * 64, origin=str(origin))], workdir="/w")
        assert caught.value.code == code


ROOT = {
    "bin/a": "1",
    "bin/b": "2",
    "usr/lib/x": "1",
    "lib": ("link", "usr/lib"),
    "usr/l": ("link", "lib/x"),
    "h": ("hard", "bin/a"),
}


@pytest.mark.parametrize(
    ("source", "dest", "expected"),
    [
        ("/bin", "/opt", {"opt", "opt/a", "opt/b"}),
        ("/bin/", "/opt/", {"opt", "opt/a", "opt/b"}),
        ("/bin/a", "/opt/c", {"opt", "opt/c"}),
        ("/bin/a", "/opt/", {"opt", "opt/a"}),
        ("/lib", "/opt", {"opt", "opt/x"}),
        ("/lib/x", "/opt/", {"opt", "opt/x"}),
        ("/usr/l", "/opt/y", {"opt", "opt/y"}),
        ("/bin/*", "/opt/", {"opt", "opt/a", "opt/b"}),
        ("/b?n/[b-z]", "/opt/", {"opt", "opt/b"}),
        ("/usr", "/", {"lib", "lib/x", "l"}),
        ("/bin/a", "sub/", {"w/sub", "w/sub/a"}),
    ],
)
def test_copy_by_dockers_rules(store: Store, source: str, dest: str, expected: set[str]) -> None:
    root = commit(store, ROOT)
    made = store.context_layer([CopyInput((root,), source, dest)], workdir="/w")
    assert set(layer(store, made)) == expected | {"w"}


def test_copy_makes_owners_root_and_keeps_modes_and_links(store: Store) -> None:
    with store.scratch() as folder:
        upper = write_tree(folder / "u", {"d/a": "1", "d/b": ("hard", "d/a")})
        (upper / "d/a").chmod(0o4711)
        os.chown(upper / "d/a", 5, 6)
        (upper / "d/a").chmod(0o4711)
        root = store.commit_layer(upper, [], epoch=50).digest
    made = store.context_layer([CopyInput((root,), "/d", "/o")], workdir="/w")
    assert layer(store, made)["o/a"][1:4] == ("0o4711", 0, 0)
    assert (store.layer_path(made) / "o/b").stat().st_nlink == 2


@pytest.mark.parametrize(("source", "dest", "code"), [("/none", "/x", "copy-missing"), ("/bin/*", "/x", "copy-target")])
def test_copy_that_cannot_be(store: Store, source: str, dest: str, code: str) -> None:
    root = commit(store, ROOT)
    with pytest.raises(FarmError) as caught:
        store.context_layer([CopyInput((root,), source, dest)], workdir="/w")
    assert caught.value.code == code


def test_layers_below_are_respected(store: Store) -> None:
    """A copy into /lib of a merged-usr root goes to /usr/lib; /tmp keeps its mode; a folder takes files in."""
    with store.scratch() as folder:
        upper = write_tree(folder / "u", {"usr/lib": None, "lib": ("link", "usr/lib"), "tmp": None, "usr/bin": None})
        (upper / "tmp").chmod(0o1777)
        below = store.commit_layer(upper, []).digest
    root = commit(store, ROOT)
    copies = [CopyInput((root,), "/bin/a", dest) for dest in ("/lib/a", "/tmp/a", "/usr/bin")]
    found = layer(store, store.context_layer(copies, workdir="/w", layers=[below]))
    assert set(found) == {"w", "usr", "usr/lib", "usr/lib/a", "tmp", "tmp/a", "usr/bin", "usr/bin/a"}
    assert found["tmp"][1] == "0o1777"
