# SPDX-License-Identifier: GPL-3.0-or-later
"""`farm build` on the real sandbox, as a user calls it."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import shutil
import signal
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest
import zstandard
from farm_command import Farm

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root; the rootless farm has its own test")

TOOL = "image: box\nsteps:\n- mkdir -p /usr/share && echo tool-$PACKAGE_VERSION >/usr/share/tool\n"
APP = """
requires: [{category: lib, name: tool, version: ">=1"}]
package_dir: /out
prelude: [mkdir -p /out]
steps: [cp /usr/share/tool /out/app]
"""


def files(path: str | Path) -> dict[str, tarfile.TarInfo]:
    """The entries of a package's tarball."""
    plain = zstandard.ZstdDecompressor().stream_reader(Path(path).read_bytes()).read()
    with tarfile.open(fileobj=io.BytesIO(plain)) as tar:
        return {entry.name: entry for entry in tar}


def made(summary: dict[str, Any]) -> dict[str, str]:
    """sha256 by package."""
    return {package["package"]: package["sha256"] for package in summary["packages"]}


def test_packages_are_made_and_cached(farm: Farm, tmp_path: Path) -> None:
    farm.package("lib/tool", TOOL)
    farm.package("app/app", APP)
    out = tmp_path / "out"
    first = farm.build("app/app", "lib/tool", "--destination", str(out))
    assert (first["status"], first["outcome"]) == (0, "ok")
    assert sorted(path.name for path in out.iterdir()) == [
        f"{name}-1.0.{end}"
        for name in ("app-app", "tool-lib")
        for end in ("cdx.json", "metadata.yaml", "package.tar.zst", "provenance.json")
    ]
    assert list(files(out / "app-app-1.0.package.tar.zst")) == ["app"]
    assert list(files(out / "tool-lib-1.0.package.tar.zst")) == ["usr", "usr/share", "usr/share/tool"]
    again = farm.build("app/app", "lib/tool")
    assert set(again["counts"]) == {"cached"}
    assert made(again) == made(first)


def test_another_folder_and_store_give_the_same_bytes(farm: Farm, tmp_path: Path) -> None:
    farm.package("lib/tool", TOOL)
    farm.package("app/app", APP)
    first = farm.build("--all")
    shutil.copytree(farm.tree, tmp_path / "elsewhere" / "tree")
    other = Farm(tmp_path / "elsewhere" / "tree", tmp_path / "other-store", farm.root)
    assert made(other.build("--all")) == made(first)


def test_only_what_changed_is_rebuilt(farm: Farm) -> None:
    farm.package("lib/tool", TOOL)
    folder = farm.package("app/app", APP)
    farm.build("--all")
    (folder / "build.yaml").write_text(f"# a comment\n{APP}")
    assert set(farm.build("--all")["counts"]) == {"cached"}
    farm.package("lib/tool", TOOL.replace("&& echo", "&& true && echo"))
    cut = farm.build("app/app")
    assert cut["counts"] == {"ok": 1, "cached": 3}  # the tool was made anew into the same bytes
    (folder / "build.yaml").write_text(APP + "excludes: ['^/nothing']\n")
    assert farm.build("app/app")["counts"]["ok"] == 1  # packed again, not built


def test_explain_names_the_field(farm: Farm) -> None:
    folder = farm.package("app/app", "image: box\nsteps: [echo 1 >/a]\n")
    farm.build("--all")
    (folder / "build.yaml").write_text("image: box\nenv: [A=1]\nsteps: [echo 2 >/a]\n")
    explained = {entry["node"]: entry for entry in farm.run("explain", "app/app", "--json").json()}
    assert [change["field"] for change in explained["app/app-1.0"]["changes"]] == ["env.A", "steps.[0]"]
    assert explained["app/app-1.0:package"]["fate"] == "later"
    assert "steps.[0]: 'echo 1 >/a' -> 'echo 2 >/a'" in farm.run("explain", "app/app").out


def test_a_failure_says_where_and_opens_a_shell(farm: Farm) -> None:
    farm.package("app/bad", "image: box\nenv: [A=7]\nprelude: [echo before >/left]\nsteps: [true, echo oops; exit 3]\n")
    farm.package("app/good", "image: box\nsteps: [touch /x]\n")
    ran = farm.run("build", "--all", "--keep-going", "--plain")
    assert ran.status == 1
    assert "steps 2 of 2: echo oops; exit 3" in ran.out
    assert "| oops" in ran.out
    assert "farm shell app/bad-1.0" in ran.out
    assert "app/good-1.0" in ran.out
    assert farm.run("log", "app/bad").out == "oops\n"
    assert farm.run("shell", "app/bad", "--", "sh", "-c", "pwd; echo $A; cat /left").out.split() == [
        "/luetbuild",
        "7",
        "before",
    ]
    assert list((farm.store / "tmp").iterdir()) == []
    history = farm.run("history", "app/bad", "--json").json()
    assert {entry["status"] for entry in history if entry["node"] == "app/bad-1.0"} == {"failed"}


def test_blocked_by_a_failure(farm: Farm) -> None:
    farm.package("lib/tool", "image: box\nsteps: ['false']\n")
    farm.package("app/app", APP)
    summary = farm.build("--all", "-k")
    assert summary["status"] == 1
    assert summary["blocked"]["app/app-1.0:package"] == "lib/tool-1.0"


def test_a_bad_package_stops_only_what_needs_it(farm: Farm) -> None:
    farm.package("lib/tool", "image: box\nstepz: [x]\n")
    farm.package("app/app", APP)
    farm.package("app/good", "image: box\nsteps: [touch /x]\n")
    summary = farm.build("--all")
    assert summary["status"] == 1
    assert list(made(summary)) == ["app/good-1.0"]
    problem = next(p for p in summary["problems"] if p["code"] == "unknown-key")
    assert (problem["line"], problem["package"]) == (2, "lib/tool-1.0")
    assert "steps" in problem["hint"]


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        (["build"], 2, "--all"),
        (["build", "app/none"], 1, "unknown-target"),
        (["build", "app/app@>2"], 1, "unknown-target"),
        (["build", "app/app@>>1"], 1, "bad-"),
        (["build", "app/app", "--runner", "moon"], 1, "unknown-runner"),
        (["build", "app/app", "--tree", "/nonexistent"], 1, "missing-tree"),
        (["buidl"], 2, "build"),
        (["log", "nope"], 1, "history"),
        (["shell", "nope"], 1, "history"),
    ],
)
def test_wrong_usage_is_told_clearly(farm: Farm, words: list[str], status: int, text: str) -> None:
    farm.package("app/app", "image: box\n")
    ran = farm.run(*words)
    assert ran.status == status
    assert text in ran.err


def test_targets_with_selectors(farm: Farm) -> None:
    for version in ("1.0", "1.10", "1.9"):
        farm.package("lib/tool", TOOL, version).rename(farm.tree / version)
    assert list(made(farm.build("lib/tool"))) == ["lib/tool-1.10"]
    assert list(made(farm.build("tool@<1.10"))) == ["lib/tool-1.9"]
    assert list(made(farm.build("=lib/tool-1.0"))) == ["lib/tool-1.0"]


def test_what_a_delta_keeps(farm: Farm) -> None:
    steps = [
        "mkdir -p /d/empty && chmod 1777 /d && echo y >>/etc/issue && rm /bin/vi && ln -s x /d/link",
        "echo s >/d/suid && chown 33:44 /d/suid && chmod 4755 /d/suid && ln /d/suid /d/hard && mkfifo /d/fifo",
        "touch -d @981173106 /d/old",
    ]
    build = f"image: box\nprelude: ['echo x >/etc/issue; echo p >/prelude']\nsteps: {json.dumps(steps)}\n"
    farm.package("lib/delta", build)
    summary = farm.build("--all")
    found = files(summary["packages"][0]["file"])
    inside = ["d/empty", "d/fifo", "d/hard", "d/link", "d/old", "d/suid"]
    assert sorted(found) == ["bin", "d", *inside, "etc", "etc/issue"]
    assert found["d"].mode == 0o1777
    assert (found["d/hard"].mode, found["d/hard"].uid, found["d/hard"].gid) == (0o4755, 33, 44)
    assert found["d/suid"].islnk()
    assert found["d/fifo"].isfifo()
    assert found["d/old"].mtime == 981173106
    assert found["etc/issue"].mtime == 1700000000
    assert summary["made"]["lib/delta-1.0:package"]["deleted"] == ["/bin/vi"]


def test_the_environment_of_old_trees(farm: Farm) -> None:
    folder = farm.package("lib/tool", "image: box\nenv: ['CFLAGS=\"-O2 -g0\"']\nsteps: ['pwd; ls; sh ./own.sh']\n")
    (folder / "own.sh").write_text("echo $PACKAGE_NAME $PACKAGE_VERSION $PACKAGE_CATEGORY\n")
    build = 'requires: [{category: lib, name: tool, version: ">=0"}]\nsteps: ["echo $CFLAGS; ls"]\n'
    farm.package("app/app", build)
    farm.build("--all")
    assert farm.run("log", "lib/tool").out.split() == ["/luetbuild", "own.sh", "tool", "1.0", "lib"]
    assert farm.run("log", "app/app").out.split() == ["-O2", "-g0"]


def test_ctrl_c_leaves_nothing(farm: Farm) -> None:
    farm.package("app/long", "image: box\nsteps: [sleep 1000]\n")
    farm.package("app/next", "image: box\nsteps: [touch /x]\n")
    with farm.building("--all", "-j", "1", until="app/long-1.0") as process:
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=20)
    assert time.monotonic() - began < 20
    assert process.returncode == 130
    summary = json.loads(out.splitlines()[-1])
    assert summary["outcome"] == "cancelled"
    assert summary["packages"] == []
    assert str(farm.store) not in Path("/proc/self/mountinfo").read_text()
    assert farm.run("status", "--json").json()["live"] == []


def test_status_and_log_of_a_running_job(farm: Farm) -> None:
    farm.package("app/slow", "image: box\nsteps: ['echo begin; while ! test -e /luetbuild/none; do sleep 0.1; done']\n")
    with farm.building("--all", until="app/slow-1.0") as process:
        deadline = time.monotonic() + 20
        while "begin" not in farm.run("log", "app/slow").out and time.monotonic() < deadline:
            time.sleep(0.1)
        running = farm.run("status", "--json").json()["running"]
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    assert [job["node"] for job in running] == ["app/slow-1.0"]


def test_a_log_is_followed_to_its_end(farm: Farm) -> None:
    farm.package("app/slow", "image: box\nsteps: ['for i in 1 2 3 4 5 6; do echo line $i; sleep 0.3; done']\n")
    with farm.building("--all", until="app/slow-1.0") as process:
        followed = farm.run("log", "-f", "app/slow-1.0")
        process.communicate(timeout=20)
    assert followed.out.splitlines() == [f"line {i}" for i in range(1, 7)]


def test_sources_are_verified(farm: Farm, tmp_path: Path) -> None:
    source = tmp_path / "source.txt"
    source.write_text("data\n")
    build = "image: box\nsources: [{{url: 'file://{}', sha256: {}}}]\nsteps: [cp source.txt /x]\n"
    farm.package("app/good", build.format(source, "6667b2d1aab6a00caa5aee5af8ad9f1465e567abf1c209d15727d57b3e8f6e5f"))
    farm.package("app/bad", build.format(source, "0" * 64))
    summary = farm.build("--all", "-k")
    assert list(made(summary)) == ["app/good-1.0"]
    assert [failed["kind"] for failed in summary["failures"]] == ["fetch"]


def test_join_copy_and_retrieve(farm: Farm) -> None:
    farm.package("lib/tool", TOOL)
    join = 'requires: [{category: lib, name: tool, version: ">=0"}]\nrequires_final_images: true\nunpack: true\n'
    farm.package("app/join", join)
    copy = """
image: box
copy:
- {package: {category: lib, name: tool, version: ">=0"}, source: /usr/share/tool, destination: /copied}
retrieve: ["tool-lib-*.package.tar*"]
package_dir: /out
steps: ["mkdir /out && cp /copied /out/ && ls >/out/list"]
"""
    farm.package("app/copy", copy)
    summary = farm.build("--all")
    assert summary["status"] == 0
    packages = {package["package"]: files(package["file"]) for package in summary["packages"]}
    assert list(packages["app/join-1.0"]) == ["usr", "usr/share", "usr/share/tool"]
    assert list(packages["app/copy-1.0"]) == ["copied", "list"]
    assert packages["app/copy-1.0"]["list"].size == len("tool-lib-1.0.package.tar.zst\n")


def test_untouched_files_of_the_working_directory_are_in_a_package_and_can_be_copied(farm: Farm) -> None:
    folder = farm.package("app/own", "image: box\nsteps: ['echo made >tree/made']\npackage_dir: /luetbuild/tree\n")
    (folder / "tree").mkdir()
    (folder / "tree" / "kept").write_text("as it was")
    copy = """
image: box
copy:
- {package: {category: app, name: own, version: ">=0"}, source: /luetbuild/tree, destination: /copied}
steps: ["ls /copied >/listed"]
"""
    farm.package("app/copy", copy)
    summary = farm.build("--all")
    assert summary["status"] == 0
    packages = {package["package"]: files(package["file"]) for package in summary["packages"]}
    assert list(packages["app/own-1.0"]) == ["kept", "made"]
    assert packages["app/copy-1.0"]["listed"].size == len("kept\nmade\n")


def test_a_retrieved_archive_of_the_spec_is_unpacked_as_by_add(farm: Farm) -> None:
    folder = farm.package(
        "app/own", 'image: box\nretrieve: ["data*"]\nsteps: ["cp inside data.tar.gz data.txt /root/"]\n'
    )
    (folder / "data.txt").write_text("plain")
    (folder / "inside").write_text("in the archive")
    with tarfile.open(folder / "data.tar.gz", "w:gz") as archive:
        archive.add(folder / "inside", "inside")
    (folder / "inside").unlink()
    summary = farm.build("app/own")
    assert summary["status"] == 0
    assert {"root/inside", "root/data.tar.gz", "root/data.txt"} <= set(files(summary["packages"][0]["file"]))


def test_a_destination_that_cannot_be_is_told_before_anything_is_built(farm: Farm, tmp_path: Path) -> None:
    farm.package("lib/tool", TOOL)
    (tmp_path / "file").write_text("")
    ran = farm.run("build", "lib/tool", "--destination", str(tmp_path / "file" / "out"))
    assert (ran.status, "[bad-destination]" in ran.err) == (1, True)
    assert farm.run("history", "lib/tool").status == 1


def test_a_damaged_package_is_not_delivered_and_made_again(farm: Farm, tmp_path: Path) -> None:
    farm.package("lib/tool", TOOL)
    first = farm.build("lib/tool")
    blob = Path(first["packages"][0]["file"])
    blob.write_bytes(bytes(blob.stat().st_size))
    out = tmp_path / "out"
    ran = farm.run("build", "lib/tool", "--destination", str(out))
    assert (ran.status, "[damaged-blob]" in ran.err) == (1, True)
    assert list(out.iterdir()) == []
    assert made(farm.build("lib/tool", "--destination", str(out))) == made(first)


def test_what_was_made_from_a_damaged_layer_is_made_again(farm: Farm, tmp_path: Path) -> None:
    """Somebody changes a file in a layer; a package is built from it; then the store is verified."""
    farm.package("lib/tool", TOOL)
    farm.package("app/app", APP)
    farm.package("app/top", APP.replace("tool", "app").replace("lib", "app").replace("/usr/share", "/out"))
    right = made(dataclasses.replace(farm, store=tmp_path / "pristine").build("app/app", "app/top"))
    farm.build("lib/tool")
    (file,) = farm.store.glob("layers/*/*/fs/usr/share/tool")
    file.write_text("forged\n")
    wrong = made(farm.build("app/app", "app/top"))
    assert wrong != right
    told = json.loads(farm.run("verify", "--json", "--dry-run").out)
    assert made(farm.build("app/app", "app/top")) == wrong
    ran = farm.run("verify", "--json")
    assert ran.status == 1
    problems = json.loads(ran.out)
    assert [(p["code"], p["severity"]) for p in problems] == [(p["code"], p["severity"]) for p in told]
    assert problems[0]["code"] == "damaged-layer"
    withdrawn = [p["message"].partition(",")[0] for p in problems if p["code"] == "withdrawn-result"]
    assert withdrawn == ["lib/tool-1.0:package", "app/app-1.0", "app/app-1.0:package"]
    assert farm.run("verify").status == 0
    assert made(farm.build("app/app", "app/top")) == right


def test_a_damaged_journal_is_told(farm: Farm) -> None:
    farm.package("lib/tool", TOOL)
    farm.build("lib/tool")
    for path in farm.store.glob("journal.db*"):
        path.write_bytes(b"no database" * 100)
    for words in (("build", "lib/tool"), ("plan", "lib/tool"), ("status",), ("history",)):
        ran = farm.run(*words)
        assert (ran.status, "[journal-damaged]" in ran.err) == (1, True)


def test_names_and_versions_reach_the_environment_as_they_are(farm: Farm, tmp_path: Path) -> None:
    folder = farm.package("lib/it's\\n$HOME", 'image: box\nsteps:\n- printf %s "$PACKAGE_NAME" >/name\n', "1.0+2~x")
    assert folder.is_dir()
    summary = farm.build("--all", "--destination", str(tmp_path / "out"))
    assert summary["status"] == 0
    (path,) = (tmp_path / "out").glob("*.tar.zst")
    plain = zstandard.ZstdDecompressor().stream_reader(path.read_bytes()).read()
    assert b"it's\\n$HOME" in plain
