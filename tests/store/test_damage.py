# SPDX-License-Identifier: GPL-3.0-or-later
"""Results that may have been made from a damaged object are withdrawn, and no others."""

from __future__ import annotations

import contextlib
import hashlib
import io
import sqlite3
import tarfile
from pathlib import Path

import pytest
from conftest import needs_root
from storetree import commit

from farm.plan.job import ArchiveInput, FileInput
from farm.plan.node import Result, key_of
from farm.runner.layers import skeleton_layer
from farm.spec.problem import FarmError
from farm.store.store import Store

pytestmark = needs_root


def record(store: Store, name: str, *reads: str, layer: str | None = None, since: int | None = None) -> str:
    """Records a result of a job that read these layers; its key."""
    document = {"kind": "job", "name": name, "layers": list(reads)}
    made = layer or commit(store, {name: name})
    store.record(key_of(document), document, Result(layer=made), since=since)
    return key_of(document)


def spoil(store: Store, layer: str) -> None:
    (store.layer_path(layer) / "spoilt").write_text("x")


def codes(store: Store, **options: bool) -> list[str]:
    return [problem.code for problem in store.verify(**options)]


def cached(store: Store, *keys: str) -> list[bool]:
    return [store.lookup(key) is not None for key in keys]


def test_what_was_made_since_it_was_good_is_withdrawn(store: Store) -> None:
    layer, other = commit(store, {"a": "1"}), commit(store, {"b": "1"})
    before = record(store, "before", other, layer)
    assert codes(store) == []
    after = [record(store, "after", other, layer), record(store, "other", other)]
    above = record(store, "above", str(store.lookup(after[0]).layer))  # type: ignore[union-attr]
    spoil(store, layer)
    assert codes(store) == ["damaged-layer", "withdrawn-result"]
    assert cached(store, before, *after, above) == [True, False, True, True]
    assert codes(store) == []


def test_nothing_is_changed_by_a_dry_run(store: Store) -> None:
    layer = commit(store, {"a": "1"})
    key = record(store, "x", layer)
    spoil(store, layer)
    found = ["damaged-layer", "withdrawn-result"]
    assert codes(store, dry_run=True) == codes(store, dry_run=True) == found
    assert cached(store, key) == [True]
    assert not list((store.root / "damaged").iterdir())
    assert codes(store) == found
    assert cached(store, key) == [False]


def test_a_sound_look_without_changes_is_not_remembered(store: Store) -> None:
    layer = commit(store, {"a": "1"})
    key = record(store, "x", layer)
    assert codes(store, dry_run=True) == []
    spoil(store, layer)
    assert codes(store) == ["damaged-layer", "withdrawn-result"]
    assert cached(store, key) == [False]


def test_making_it_again_while_it_lies_there_damaged_does_not_make_it_good(store: Store) -> None:
    layer = commit(store, {"a": "1"})
    spoil(store, layer)
    key = record(store, "x", layer)
    assert commit(store, {"a": "1"}) == layer
    assert codes(store) == ["damaged-layer", "withdrawn-result"]
    assert cached(store, key) == [False]


def test_what_is_made_anew_can_be_recorded_again(store: Store) -> None:
    layer = commit(store, {"a": "1"})
    key = record(store, "x", layer)
    spoil(store, layer)
    assert len(codes(store)) == 2
    commit(store, {"a": "1"})
    assert record(store, "x", layer, since=store.damages()) == key
    assert codes(store) == []
    assert cached(store, key) == [True]


def test_what_was_under_way_when_damage_was_found_is_not_recorded(store: Store) -> None:
    layer, other = commit(store, {"a": "1"}), commit(store, {"b": "1"})
    since = store.damages()
    spoil(store, layer)
    assert codes(store) == ["damaged-layer"]
    commit(store, {"a": "1"})
    with pytest.raises(FarmError) as caught:
        record(store, "x", layer, since=since)
    assert (caught.value.code, caught.value.transient) == ("damaged-input", True)
    assert cached(store, record(store, "y", other, since=since)) == [True]


def test_layers_that_documents_do_not_name(store: Store) -> None:
    """The skeleton is below every job; what a job's inputs became is named by the inputs."""
    skeleton = skeleton_layer(store)
    key = record(store, "x")
    spoil(store, skeleton)
    assert codes(store) == ["damaged-layer", "withdrawn-result"]
    digest = store.put_blob(b"text")
    context = store.context_layer((FileInput("/luetbuild/f", digest),), workdir="/luetbuild")
    readers = record(store, "reader", digest), record(store, "other", "0" * 64)
    spoil(store, context)
    assert codes(store) == ["damaged-layer", "withdrawn-result"]
    assert cached(store, key, *readers) == [False, False, True]


def test_a_flat_layer_is_named_by_those_it_was_made_of(store: Store) -> None:
    parts = commit(store, {"a": "1"}), commit(store, {"b": "1"})
    flat = store.flatten(parts)
    keys = record(store, "x", *parts), record(store, "y", commit(store, {"c": "1"}))
    spoil(store, flat)
    assert codes(store) == ["damaged-layer", "withdrawn-result"]
    assert cached(store, *keys) == [False, True]


def test_damage_found_at_use_counts_too(store: Store) -> None:
    blob = store.put_blob(b"whole")
    key = record(store, "x", blob)
    store.blob_path(blob).write_bytes(b"cut")
    with Store(store.root) as other:
        assert not other.has_blob(blob)
        assert cached(other, key) == [False]


def test_the_clock_does_not_decide(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = commit(store, {"a": "1"})
    assert codes(store) == []
    monkeypatch.setattr("time.time", lambda: 1000.0)
    key = record(store, "x", layer)
    spoil(store, layer)
    assert codes(store) == ["damaged-layer", "withdrawn-result"]
    assert cached(store, key) == [False]


def test_a_store_of_an_older_farm(store: Store) -> None:
    """Nobody knows what was made when: all that read the damaged layer is withdrawn, unless it was sound since."""
    with Store(store.root) as older:
        layer, sound = commit(older, {"a": "1"}), commit(older, {"b": "1"})
        key, other = record(older, "x", layer), record(older, "y", sound)
    with contextlib.closing(sqlite3.connect(store.root / "store.db")) as database:
        for table in ("made", "good", "damage"):
            database.execute(f"DROP TABLE {table}")
    with Store(store.root) as newer:
        spoil(newer, layer)
        assert codes(newer) == ["damaged-layer", "withdrawn-result"]
        assert cached(newer, key, other) == [False, True]
        spoil(newer, sound)
        assert codes(newer) == ["damaged-layer"]
        assert cached(newer, key, other) == [False, True]


def archive(content: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        entry = tarfile.TarInfo("f")
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def test_a_damaged_source_is_found_before_it_is_unpacked(store: Store, tmp_path: Path) -> None:
    good, bad = archive(b"good"), archive(b"evil")
    digest = store.put_blob(good)
    store.blob_path(digest).write_bytes(bad)
    assert len(good) == len(bad) and hashlib.sha256(bad).hexdigest() != digest
    inputs = (ArchiveInput(digest, "/luetbuild"),)
    with pytest.raises(FarmError) as caught:
        store.context_layer(inputs, workdir="/luetbuild")
    assert caught.value.code == "damaged-blob"
    assert not store.has_blob(digest)
    store.put_blob(good)
    path = store.layer_path(store.context_layer(inputs, workdir="/luetbuild"))
    assert (path / "luetbuild/f").read_bytes() == b"good"
