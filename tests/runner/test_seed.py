# SPDX-License-Identifier: GPL-3.0-or-later
"""Seeds are named by what they are, made once, and the same bytes whenever they are made."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import os
import shutil
import tarfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from farm.plan.job import Seed
from farm.plan.node import Result, key_document, key_of
from farm.runner import binfmt, seed_debootstrap
from farm.runner.seed import identify, make_seed
from farm.spec.problem import FarmError
from farm.store import apt
from farm.store.apt import Archive, Distribution
from farm.store.store import Store

SMALL = Seed("debootstrap", suite="host", variant="apt", packages=("patch",))

needs_mmdebstrap = pytest.mark.skipif(
    not shutil.which("mmdebstrap") or os.geteuid() != 0, reason="needs root and mmdebstrap"
)


@pytest.fixture
def own_store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as made:
        yield made
    assert list((tmp_path / "store/tmp").iterdir()) == []


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "root.tar"
    with tarfile.open(path, "w") as out:
        folder = tarfile.TarInfo("dev")
        folder.type, folder.mode = tarfile.DIRTYPE, 0o755
        out.addfile(folder)
        for name, text in (("etc/os-release", b"ID=x\n"), ("dev/null", b"")):
            member = tarfile.TarInfo(name)
            member.size = len(text)
            out.addfile(member, io.BytesIO(text))
    return path


def make(seed: Seed, store: Store, cancel: threading.Event | None = None) -> Result:
    return make_seed(identify(seed), store, store.root.parent / "log", cancel or threading.Event())


def code_of(seed: Seed, store: Store) -> str:
    with pytest.raises(FarmError) as caught:
        make(seed, store)
    return caught.value.code


def test_the_hosts_suite_gets_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apt, "host_distribution", lambda: Distribution("debian", "bookworm"))
    asked = Seed("debootstrap", suite="host", packages=("make", "gcc", "make"))
    assert identify(asked) == dataclasses.replace(asked, suite="bookworm", packages=("gcc", "make"))


def test_a_named_suite_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apt, "host_distribution", lambda: Distribution("", ""))
    assert identify(Seed("debootstrap", suite="trixie")).suite == "trixie"


def test_a_host_of_no_release(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apt, "host_distribution", lambda: Distribution("some", ""))
    with pytest.raises(FarmError) as caught:
        identify(Seed("debootstrap", suite="host"))
    assert caught.value.code == "seed-no-suite"


def test_a_local_archive_is_known_by_its_content(archive: Path) -> None:
    sha256 = hashlib.sha256(archive.read_bytes()).hexdigest()
    assert identify(Seed("archive", url=archive.as_uri())).sha256 == sha256
    assert identify(Seed("archive", url=str(archive))).sha256 == sha256


def test_a_remote_archive_needs_a_sha256() -> None:
    with pytest.raises(FarmError) as caught:
        identify(Seed("archive", url="https://example.org/root.tar"))
    assert caught.value.code == "seed-no-sha256"


def test_a_missing_archive(tmp_path: Path) -> None:
    with pytest.raises(FarmError) as caught:
        identify(Seed("archive", url=str(tmp_path / "no")))
    assert caught.value.code == "seed-archive-missing"


def test_an_archive_becomes_a_layer(own_store: Store, archive: Path) -> None:
    made = make(Seed("archive", url=archive.as_uri()), own_store)
    assert made.layer
    root = own_store.layer_path(made.layer)
    assert (root / "etc/os-release").read_text() == "ID=x\n"
    assert list((root / "dev").iterdir()) == []


def test_another_archive_than_was_meant(own_store: Store, archive: Path) -> None:
    assert code_of(Seed("archive", url=str(archive), sha256="0" * 64), own_store) == "source-digest-mismatch"


def test_scratch_is_empty(own_store: Store) -> None:
    made = make(Seed("scratch"), own_store)
    assert made.layer
    assert list(own_store.layer_path(made.layer).iterdir()) == []


def test_one_of_many_makes_it(own_store: Store, archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a farm finds recorded when it gets the lock, it does not make again."""
    seed = identify(Seed("archive", url=archive.as_uri()))
    document = key_document(seed)
    imports = []
    real = Store.import_layer
    monkeypatch.setattr(Store, "import_layer", lambda *a, **k: imports.append(1) or real(*a, **k))

    def one(_: int) -> str | None:
        result = make(seed, own_store)
        own_store.record(key_of(document), document, result)
        return result.layer

    first = one(0)
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(one, range(4))) == {first}
    assert len(imports) == 1


def test_missing_tools_are_named(own_store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FarmError) as caught:
        make(dataclasses.replace(SMALL, suite="bookworm"), own_store)
    assert caught.value.code == "seed-tool-missing"
    assert "mmdebstrap" in caught.value.problems[0].hint


def test_a_host_without_archives(own_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seed_debootstrap, "_check_tools", lambda: None)
    monkeypatch.setattr(apt, "archives", lambda: ())
    assert code_of(dataclasses.replace(SMALL, suite="bookworm"), own_store) == "seed-no-archive"


def test_a_platform_without_debian(own_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seed_debootstrap, "_check_tools", lambda: None)
    seed = Seed("debootstrap", suite="bookworm", platform="linux/vax")
    assert code_of(seed, own_store) == "seed-platform"


@pytest.mark.parametrize("platform", ["linux/amd64", "linux/arm64"])
def test_a_crash_under_the_emulator_passes(own_store: Store, monkeypatch: pytest.MonkeyPatch, platform: str) -> None:
    if binfmt.obstacle(platform):
        pytest.skip(f"programs of {platform} cannot run here")
    said = "E: installed perl package post-installation script subprocess was killed by signal (Segmentation fault)"
    monkeypatch.setattr(seed_debootstrap, "_check_tools", lambda: None)
    monkeypatch.setattr(seed_debootstrap, "_sources", lambda _seed: b"")
    monkeypatch.setattr(seed_debootstrap, "_command", lambda _seed: ["sh", "-c", f"echo '{said}' >&2; exit 25"])
    with pytest.raises(FarmError) as caught:
        make(Seed("debootstrap", suite="bookworm", platform=platform), own_store)
    emulated = platform not in binfmt.native_platforms()
    assert (caught.value.code, caught.value.transient) == ("seed-failed", emulated)
    assert ("emulator" in caught.value.problems[0].hint) == emulated


@pytest.mark.slow
@needs_mmdebstrap
def test_an_archive_that_does_not_answer(own_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = Archive(("http://127.0.0.1:1/debian",), ("bookworm",), ("main",))
    monkeypatch.setattr(apt, "archives", lambda: (nowhere,))
    monkeypatch.setattr(apt, "host_distribution", lambda: Distribution("debian", "bookworm"))
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(apt, "proxies", dict)
    with pytest.raises(FarmError) as caught:
        make(SMALL, own_store)
    assert (caught.value.code, caught.value.transient) == ("seed-failed", True)


@pytest.mark.slow
@needs_mmdebstrap
def test_two_seeds_are_the_same_bytes(tmp_path: Path) -> None:
    layers = set()
    for name in ("one", "two"):
        with Store(tmp_path / name / "store") as store:
            layer = make(SMALL, store).layer
            assert layer
            root = store.layer_path(layer)
            assert (root / "usr/bin/patch").exists()
            assert list((root / "dev").iterdir()) == []
            left = [
                path for path in ("etc/resolv.conf", "etc/hostname", "etc/apt/sources.list") if (root / path).exists()
            ]
            assert left == []
            layers.add(layer)
    assert len(layers) == 1


@pytest.mark.slow
@needs_mmdebstrap
def test_cancel_leaves_nothing(own_store: Store) -> None:
    cancel = threading.Event()
    threading.Timer(3, cancel.set).start()
    start = time.monotonic()
    with pytest.raises(FarmError) as caught:
        make(SMALL, own_store, cancel)
    assert caught.value.code == "cancelled"
    assert time.monotonic() - start < 10
    assert str(own_store.root) not in Path("/proc/self/mountinfo").read_text()
