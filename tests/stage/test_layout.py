# SPDX-License-Identifier: GPL-3.0-or-later
"""The layout without any building: what is complete, what goes, what is next, what the index says."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from farm.stage.control import FIRST_PAUSE, LONGEST_PAUSE, PATIENCE, Control, State
from farm.stage.index import index_document, page
from farm.stage.layout import INFO, Layout, order
from farm.stage.model import EmptySeed, Release, Stage
from farm.stage.nextbuild import candidates
from farm.stage.retention import remove, verdicts

RELEASE = Release("stage3", "test", "x86-64bit", "generic_64")
NOW = 1_800_000_000.0
DAY = 86400.0


def edition(layout: Layout, version: str, *, release: Release = RELEASE, complete: bool = True, age: float = 0) -> Path:
    """Makes a version by hand."""
    folder = layout.folder(release) / version
    folder.mkdir(parents=True, exist_ok=True)
    stem = release.stem(version)
    file = folder / f"{stem}.tar.xz"
    file.write_bytes(b"x" * 10)
    (folder / f"{stem}.tar.xz.sha256").write_text("0\n")
    latest = folder / f"{release.target}-latest"
    latest.mkdir()
    (latest / f"{release.target}-latest.tar.xz").symlink_to(f"../{file.name}")
    if complete:
        output = {"file": file.name, "format": "tar.xz", "size": 10, "sha256": "0" * 64, "sha512": "0" * 128}
        info = {"outputs": [output], "packages": {"a/b-1": "0"}, "description": "<b>&", "seed": {"name": "s"}}
        (folder / f"{stem}{INFO}").write_text(json.dumps(info))
    for path in [*folder.iterdir(), folder]:
        os.utime(path, (NOW - age, NOW - age), follow_symlinks=False)
    return folder


def switch(layout: Layout, version: str, release: Release = RELEASE) -> None:
    """Points the latest link at a version."""
    link = layout.latest_folder(release)
    link.unlink(missing_ok=True)
    link.symlink_to(f"{version}/{link.name}")


def test_order() -> None:
    versions = ["2026-01-02", "2026-01-10", "2026-01-02-r1", "2026-01-02-r10", "2026-01-02-r2"]
    expected = ["2026-01-02", "2026-01-02-r1", "2026-01-02-r2", "2026-01-02-r10", "2026-01-10"]
    assert sorted(versions, key=order) == expected


def test_what_goes(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    for number in range(1, 6):
        edition(layout, f"2026-01-0{number}", age=10 * DAY)
    edition(layout, "2026-01-06", complete=False, age=10 * DAY)
    edition(layout, "2026-01-07", complete=False, age=0.1 * DAY)
    switch(layout, "2026-01-02")
    judged = verdicts(layout, 2, DAY, NOW)
    kept = {one.edition.version for one in judged if one.keep}
    assert kept == {"2026-01-04", "2026-01-05", "2026-01-02", "2026-01-07"}
    removed = remove(layout, judged)
    assert {one.version for one in removed} == {"2026-01-01", "2026-01-03", "2026-01-06"}
    assert {path.name for path in layout.folder(RELEASE).iterdir() if not path.is_symlink()} == kept


def test_the_newest_complete_one_never_goes(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    edition(layout, "2020-01-01", age=2000 * DAY)
    edition(layout, "2026-01-01", complete=False, age=100 * DAY)
    assert [one.keep for one in verdicts(layout, 0, 0, NOW)] == [True, False]


def test_other_targets_of_the_same_day_stay(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    other = Release("stage1", "test", "x86-64bit", "generic_64")
    for version in ("1", "2"):
        edition(layout, version)
    folder = edition(layout, "1", release=other)
    remove(layout, verdicts(layout, 1, DAY, NOW))
    assert folder.is_dir()
    assert {path.name.partition("-")[0] for path in folder.iterdir()} == {"stage1"}


def test_nothing_outside_is_removed(tmp_path: Path) -> None:
    """Links are unlinked, never followed; a version that is a link is none."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("x")
    layout = Layout(tmp_path / "out")
    folder = edition(layout, "1", age=9 * DAY)
    edition(layout, "2", age=9 * DAY)
    (folder / f"{RELEASE.stem('1')}.oci").symlink_to(outside)
    (layout.folder(RELEASE) / "0").symlink_to(outside)
    remove(layout, verdicts(layout, 1, DAY, NOW))
    assert (outside / "precious").read_text() == "x"
    assert not folder.exists()


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_mount_is_not_crossed(tmp_path: Path) -> None:
    import subprocess
    import sys

    layout = Layout(tmp_path / "out")
    folder = edition(layout, "1", age=9 * DAY)
    edition(layout, "2", age=9 * DAY)
    inside = folder / f"{RELEASE.stem('1')}.oci"
    inside.mkdir()
    program = tmp_path / "remove.py"
    program.write_text(
        "from pathlib import Path\nfrom farm.stage.layout import Layout\n"
        "from farm.stage.retention import remove, verdicts\n"
        f"layout = Layout(Path({str(layout.root)!r}))\nremove(layout, verdicts(layout, 1, 0, {NOW}))\n"
    )
    script = f"mount -t tmpfs x {inside} && touch {inside}/kept && {sys.executable} {program}; ls {inside}"
    done = subprocess.run(["unshare", "-m", "/bin/sh", "-c", script], capture_output=True, text=True)
    assert "mounted" in done.stderr
    assert done.stdout == "kept\n"
    assert len(layout.editions(RELEASE)) == 2
    assert all(one.complete for one in layout.editions(RELEASE)), "nothing of it was removed"


def test_back_off(tmp_path: Path) -> None:
    control = Control(Layout(tmp_path))
    for number in range(1, PATIENCE):
        assert control.failed(RELEASE, "x", NOW + number).pause_until == 0
    third = control.failed(RELEASE, "why", NOW)
    assert third.pause_until == NOW + FIRST_PAUSE
    assert control.failed(RELEASE, "why", NOW).pause_until == NOW + 2 * FIRST_PAUSE
    for _ in range(40):
        last = control.failed(RELEASE, "why", NOW)
    assert last.pause_until == NOW + LONGEST_PAUSE
    control.succeeded(RELEASE, "1", NOW)
    assert control.state(RELEASE) == State("1", NOW)
    next((tmp_path / ".control").rglob("*.json")).write_text("{broken")
    assert control.state(RELEASE) == State()


def test_next_is_the_stalest(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    control = Control(layout)

    def stage(name: str) -> Stage:
        return Stage(name, EmptySeed(), Release(name, "test", "x86-64bit", "generic_64"))

    stages = [stage(name) for name in ("old", "older", "fresh", "never", "failing")]
    for name, age in (("old", 5), ("older", 9), ("fresh", 0.5), ("failing", 50)):
        edition(layout, "1", release=stage(name).release)
        control.succeeded(stage(name).release, "1", NOW - age * DAY)
    for _ in range(PATIENCE):
        control.failed(stage("failing").release, "cc: failed", NOW - 60)
    found = candidates(stages, layout, NOW, DAY)
    assert [one.stage.name for one in found[:3]] == ["never", "older", "old"]
    assert {one.stage.name: one.fate for one in found[3:]} == {"failing": "paused", "fresh": "fresh"}
    assert "cc: failed" in next(one.why for one in found if one.fate == "paused")


def test_index_and_page(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    edition(layout, "2026-01-01")
    edition(layout, "2026-01-02")
    edition(layout, "2026-01-03", complete=False)
    switch(layout, "2026-01-02")
    document = index_document(layout)
    release = document["releases"][0]
    assert release["latest"] == "2026-01-02"
    assert [one["version"] for one in release["versions"]] == ["2026-01-02", "2026-01-01"]
    for version in release["versions"]:
        for output in version["outputs"]:
            assert (tmp_path / output["file"]).is_file()
            assert all((tmp_path / path).is_file() for path in output["beside"])
    text = page(document)
    assert "&lt;b&gt;&amp;" in text
    assert "<b>&" not in text
    assert text.count("stage3-generic_64-test-2026-01-02.tar.xz") >= 2
    assert "Nothing is given out" in page({"releases": []})
