# SPDX-License-Identifier: GPL-3.0-or-later
"""Blobs, results, private folders, locks, collection, damage and death."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
from conftest import needs_root
from storetree import commit, write_tree

from farm.plan.node import Result
from farm.spec.problem import FarmError
from farm.store.session import locked
from farm.store.store import Store


def run_python(code: str, *args: object) -> subprocess.Popen[str]:
    """A process of its own that runs ``code``."""
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, args)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_a_lock_that_a_dying_process_holds_is_waited_for(tmp_path: Path) -> None:
    """A child that was just forked when its parent was killed holds the parent's locks until it is gone, too."""
    lock = tmp_path / "lock"
    with subprocess.Popen(["flock", str(lock), "sleep", "1"]) as dying:
        while held(lock, wait=False):
            time.sleep(0.01)
        assert not held(lock, wait=0.1)
        assert held(lock, wait=30.0)
        assert dying.wait() == 0


def held(path: Path, *, wait: bool | float) -> bool:
    """Whether a lock could be had."""
    with locked(path, wait=wait) as had:
        return had


def test_blobs(store: Store, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"abc")
    digest = hashlib.sha256(b"abc").hexdigest()
    with open(tmp_path / "f", "rb") as file:
        assert {store.put_blob(b"abc"), store.put_blob(tmp_path / "f"), store.put_blob(file)} == {digest}
    assert store.blob_path(digest).read_bytes() == b"abc"
    with pytest.raises(FarmError) as caught:
        store.put_blob(b"abcd", expect=digest)
    assert caught.value.code == "digest-mismatch"
    with pytest.raises(FarmError) as caught:
        store.blob_path("0" * 64)
    assert caught.value.code == "missing-blob"


def test_results(store: Store) -> None:
    blob = store.put_blob(b"x")
    results = {f"{n:064x}": Result(blob=blob, env=(("A", str(n)),)) for n in range(1200)}
    with store.records.writing():
        for key, result in results.items():
            store.record(key, {"n": key}, result)
    assert store.lookup_many([*results, "none"]) == results
    assert store.document("0" * 63 + "1") == {"n": "0" * 63 + "1"}
    store.blob_path(blob).unlink()
    assert store.lookup_many(results) == {}


def test_many_threads_use_one_store(store: Store) -> None:
    def work(number: int) -> None:
        for step in range(20):
            digest = store.put_blob(b"%d" % (step % 7))
            store.record(f"{number}-{step}", {}, Result(blob=digest))
            assert store.lookup(f"{number}-{step}") is not None

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.lookup_many(f"{n}-{s}" for n in range(6) for s in range(20))) == 120


def test_locks(store: Store) -> None:
    with store.lock("a/b") as had, store.lock("a/b", wait=False) as again, store.lock("c", wait=False) as other:
        assert (had, again, other) == (True, False, True)


def test_scratch_of_the_dead_is_swept(store: Store) -> None:
    code = """
        import sys, time
        from pathlib import Path
        from farm.store.store import Store
        store = Store(Path(sys.argv[1]))
        with store.scratch() as folder:
            (folder / "x").mkdir()
            print(folder, flush=True)
            time.sleep(60)
    """
    with run_python(code, store.root) as process:
        assert process.stdout is not None
        folder = Path(process.stdout.readline().strip())
        store.sweep()
        assert folder.is_dir()
        process.kill()
    assert store.sweep() == 1
    assert not folder.exists()


@needs_root
def test_layer_of_two_at_once_is_one(store: Store) -> None:
    digests = []
    threads = [threading.Thread(target=lambda: digests.append(commit(store, {"a": "1", "b/c": "2"}))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(digests)) == 1
    assert len(digests) == 4


@needs_root
def test_damage_is_found_and_made_again(store: Store) -> None:
    layer, blob = commit(store, {"a": "1"}), store.put_blob(b"x")
    store.record("k", {}, Result(layer=layer))
    assert store.verify() == []
    (store.layer_path(layer) / "a").write_text("2")
    store.blob_path(blob).write_bytes(b"y")
    assert sorted(problem.code for problem in store.verify()) == ["damaged-blob", "damaged-layer"]
    assert store.lookup("k") is None
    assert not store.has_blob(blob)
    assert commit(store, {"a": "1"}) == layer
    assert store.verify() == []


def test_a_blob_that_was_cut_off_is_made_again(store: Store) -> None:
    blob = store.put_blob(b"whole")
    store.record("k", {}, Result(package=blob))
    os.truncate(store.blob_path(blob), 2)
    with Store(store.root) as other:
        assert other.lookup("k") is None
        assert not other.has_blob(blob)
        assert other.put_blob(b"whole") == blob
        assert other.lookup("k") == Result(package=blob)


@needs_root
def test_layer_of_another_boot_is_verified_before_use(store: Store) -> None:
    good, bad = commit(store, {"a": "1"}), commit(store, {"b": "1"})
    (store.layer_path(bad) / "b").write_text("")
    with Store(store.root) as later:
        later._presence.boot = "another"
        later._presence._trusted.clear()
        assert later.has_layer(good)
        assert not later.has_layer(bad)
    store.settle()
    assert store.records.known("yet another") >= {("layer", good)}


@needs_root
def test_collection_is_by_last_use_and_spares_what_is_in_use(store: Store) -> None:
    with Store(store.root) as earlier:
        blobs = [earlier.put_blob(bytes([n]) * 1000) for n in range(5)]
        layer = commit(earlier, {"a": "x" * 5000})
        earlier.record("k", {}, Result(blob=blobs[0]))
    with Store(store.root) as user:
        assert user.lookup("k") is not None
        user._flush_used()
        assert ("blob", blobs[0]) in store.pins
        plan = store.gc(keep=0, dry_run=True)
        assert {name for _, name, _ in plan.removed} == {*blobs[1:], layer}
        assert store.gc(keep=3000).kept <= 3000
        report = store.gc(keep=0)
        assert report.kept == 1000
    assert store.gc(keep=0).kept == 0
    assert store.lookup("k") is None
    assert store.df()["blobs"]["count"] == 0


@needs_root
@needs_root
def test_collection_on_a_full_disk(tmp_path: Path) -> None:
    code = """
    import contextlib, os, sys
    from pathlib import Path
    from farm.store.store import Store
    root = Path(sys.argv[1])
    with Store(root) as store:
        store.put_blob(os.urandom(1 << 20))
    with Store(root) as store:
        with contextlib.suppress(OSError), open(root / "filler", "wb", buffering=0) as out:
            while out.write(bytes(4096)):
                pass
        print(store.gc(keep=0).freed)
    """
    mounted = 'mount -t tmpfs -o size=4m none "$0" && exec "$@"'
    command = ["unshare", "-m", "sh", "-c", mounted, str(tmp_path), sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == (str(1 << 20), "")


def test_failed_roots(store: Store) -> None:
    for text in ("1", "2"):
        with store.scratch() as folder:
            write_tree(folder / "u", {"f": text})
            kept = store.keep_failed("job", folder / "u")
    assert store.failed_root("job") == kept
    assert (kept / "f").read_text() == "2"
    assert store.df()["failed"]["count"] == 1
    store.gc(keep=0)
    assert store.failed_root("job") is None


def test_database_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "store.db").write_bytes(b"no database" * 1000)
    with pytest.raises(FarmError) as caught:
        Store(tmp_path)
    assert caught.value.code == "store-damaged"


def test_database_of_a_newer_farm(tmp_path: Path) -> None:
    Store(tmp_path).close()
    with contextlib.closing(sqlite3.connect(tmp_path / "store.db")) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(FarmError) as caught:
        Store(tmp_path)
    assert caught.value.code == "store-version"


@needs_root
def test_killed_at_any_moment(store: Store) -> None:
    """A process that makes objects without end is killed at many moments: all that is visible is whole."""
    code = """
        import itertools, sys
        from pathlib import Path
        from farm.plan.job import Pack
        from farm.plan.node import Result
        from farm.store.store import Store
        store = Store(Path(sys.argv[1]))
        print("ready", flush=True)
        for n in itertools.count(int(sys.argv[2]) * 1000):
            with store.scratch() as folder:
                (folder / "u/d").mkdir(parents=True)
                for name in range(30):
                    (folder / f"u/d/{name}").write_text(f"{n} {name}" * 50)
                layer = store.commit_layer(folder / "u", []).digest
                package = store.pack(Pack((layer,), "root")).digest
                store.record(f"key-{n}", {}, Result(layer=layer, package=package))
            if n % 5 == 0:
                store.gc(keep=20_000)
    """
    for attempt in range(8):
        with run_python(code, store.root, attempt) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(0.02 + attempt * 0.017)
            os.kill(process.pid, signal.SIGKILL)
        assert store.verify() == []
    store.sweep()
    assert [path.name for path in (store.root / "tmp").iterdir() if path.name != store.session.id] == []
    assert list((store.root / "trash").iterdir()) == []
