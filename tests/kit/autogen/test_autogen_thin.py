# SPDX-License-Identifier: GPL-3.0-or-later
"""Thin runs: what is written, that a second run rests, and that nothing half-made is left by a failure or a kill."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from autogen_project import Project
from autogen_services import GitHub, Request

DATA = Path(__file__).parents[2] / "data/kits"


def noop(*packages: dict[str, Any], **defaults: Any) -> dict[str, Any]:
    """A specification of packages that ask nobody."""
    shared = {"category": "dev-util", "template": "templates/t.tmpl", **defaults}
    return {"one": {"generator": "builtin-noop", "defaults": shared, "packages": list(packages)}}


def files_below(folder: Path) -> dict[str, bytes]:
    """Every file by its path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_files_manifest_and_a_second_run(project: Project) -> None:
    project.services.files["/foo-1.tgz"] = b"one"
    project.services.files["/extra-1.tgz"] = b"two"
    base = project.services.base
    assets = [{"name": "foo-{{ .Values.version }}.tgz", "url": base + "/foo-{{ .Values.pv }}.tgz"},
              {"name": "extra-{{ .Values.pv }}.tgz", "prefix": base, "use": "extra"}]  # fmt: skip
    project.spec(noop({"foo": {"vars": {"versions": ["1"]}, "assets": assets, "revision": 2}}))
    project.write("dev-util/foo/files/a.patch", "patch\n")
    project.write("dev-util/foo/files/deep/run.sh", "#!/bin/sh\n", 0o755)
    (project.root / "specs/dev-util/foo/files/link").symlink_to("a.patch")
    report = project.thin()
    assert report["status"] == 0, report
    folder = project.made("dev-util/foo")
    assert sorted(files_below(folder)) == [
        "Manifest",
        "files/a.patch",
        "files/deep/run.sh",
        "files/link",
        "foo-1-r2.ebuild",
    ]
    assert (folder / "files/link").is_symlink() and os.access(folder / "files/deep/run.sh", os.X_OK)
    assert f"{base}/foo-1.tgz -> foo-1-r2.tgz" in project.ebuild("dev-util/foo/foo-1-r2.ebuild")
    assert [line.split()[1] for line in project.ebuild("dev-util/foo/Manifest").splitlines()] == [
        "extra-1.tgz",
        "foo-1-r2.tgz",
    ]
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    asked = len(project.services.asked)
    again = project.thin()
    assert again["written"] == []
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    later = project.services.asked[asked:]
    assert later and all("If-None-Match" in headers for _, _, headers in later)


def test_several_atoms_of_one_package(project: Project) -> None:
    for version in ("1.9", "2.3"):
        project.services.files[f"/foo-{version}.tgz"] = version.encode()
    asset = [{"name": "foo-{{ .Values.version }}.tgz", "prefix": project.services.base}]
    atoms = [{"foo": {"selector": [s], "assets": asset, "vars": {"versions": ["1.9", "2.3"]}}} for s in ("<2", ">=2")]
    project.spec(noop(*atoms))
    assert project.thin()["status"] == 0
    assert len(project.ebuild("dev-util/foo/Manifest").splitlines()) == 2
    atoms[0]["foo"]["vars"] = {**atoms[0]["foo"]["vars"], "desc": "another"}
    atoms[0]["foo"]["selector"] = [">=2"]
    project.spec(noop(*atoms))
    report = project.thin()
    assert [package["status"] for package in report["packages"]] == ["generated", "failed"]
    assert report["packages"][1]["problems"][0]["code"] == "conflict"


def test_two_packages_with_one_name_of_a_distfile(project: Project) -> None:
    project.services.files |= {"/a/x.tgz": b"a", "/b/x.tgz": b"b"}
    base = project.services.base
    assets = {name: [{"name": "x.tgz", "prefix": f"{base}/{name}"}] for name in ("a", "b")}
    atoms = [{name: {"vars": {"versions": ["1"]}, "assets": asset}} for name, asset in assets.items()]
    project.spec(noop(*atoms))
    report = project.thin()
    assert [package["status"] for package in report["packages"]] == ["generated", "failed"]
    assert report["packages"][1]["problems"][0]["code"] == "conflict"
    assert (project.root / "work/downloads/x.tgz").read_bytes() == b"a"


@pytest.mark.parametrize(
    ("atom", "code"),
    [
        ({"template": "templates/none.tmpl"}, "no-template"),
        ({"files_dir": "nowhere"}, "no-files"),
        ({"vars": {"versions": ["1"], "desc": "{{ fail `x` }}"}}, "template-execution"),
        ({"vars": {"versions": ["1"], "desc": "{{ .Values.a"}}, "template-syntax"),
        ({"assets": [{"name": "a"}]}, "asset-not-found"),
        ({"assets": [{"name": "a", "url": "ftp://127.0.0.1/a"}]}, "distfile-unavailable"),
        ({"assets": [{"name": "passwd", "url": "file:///etc/passwd"}]}, "distfile-unavailable"),
        ({"assets": [{"name": "a", "url": "http://127.0.0.1:1/a", "local": True}]}, "no-artefact"),
        ({"selector": ["nonsense"]}, "bad-selector"),
    ],
)
def test_a_package_that_fails(project: Project, atom: dict[str, Any], code: str) -> None:
    project.spec(noop({"foo": {"vars": {"versions": ["1"]}, **atom}}, {"bar": {"vars": {"versions": ["2"]}}}))
    report = project.thin()
    assert [package["status"] for package in report["packages"]] == ["failed", "generated"]
    problem = report["packages"][0]["problems"][0]
    assert (report["status"], problem["code"]) == (1, code), problem
    assert "dev-util/foo" in problem["package"] and problem["line"] > 0
    assert not project.made("dev-util/foo").exists() and project.made("dev-util/bar/bar-2.ebuild").exists()


def test_some_packages(project: Project) -> None:
    project.spec(noop(*({name: {"vars": {"versions": ["1"]}}} for name in ("aa", "bb", "cc"))))
    assert [package["package"] for package in project.thin("--pkg", "cc", "--pkg", "dev-util/aa")["packages"]] == [
        "dev-util/aa",
        "dev-util/cc",
    ]
    ran = project.call("--thin", "--pkg", "bbb")
    assert ran.status == 1 and "did you mean" in ran.err


def test_dry_run_and_values(project: Project) -> None:
    project.spec(noop({"foo": {"vars": {"versions": ["1"], "x": [1, {"y": "z"}]}}}))
    ran = project.call("--thin", "--dry-run", "--show-values")
    assert "would write" in ran.out and "dev-util/foo/foo-1.ebuild" in ran.out
    assert "y: z" in ran.out and "original_version: '1'" in ran.out
    assert not (project.root / "work").exists() or files_below(project.root / "work") == {}


def test_as_mark_devkit(project: Project) -> None:
    project.spec(noop({"foo": {"vars": {"versions": ["1"]}}}))
    words = project.words("--concurrency", "10", "--show-values=false", "--verbose")[2:]
    for command in (["mark-devkit", "doit"], ["mark-devkit", "autogen", "--skip-merge"]):
        done = subprocess.run(
            [*project.command()[:3], *command, *words], capture_output=True, text=True, env=project.environment()
        )
        assert done.returncode == 0, done.stderr
        assert project.made("dev-util/foo/foo-1.ebuild").exists()


def test_a_real_specification(project: Project) -> None:
    project.write("core-kit/autogen.kit.d/virtual.yml", (DATA / "autogen-specs/virtual.yml").read_text())
    project.write("templates/simple.tmpl", (Path(__file__).parent / "simple.tmpl").read_text())
    GitHub(project.services).repository("libffi/libffi", ["v3.4.8", "v3.5.2"], [
        {"tag_name": "v3.5.2", "name": "libffi v3.5.2"}, {"tag_name": "v3.4.8", "name": "libffi v3.4.8"},
    ])  # fmt: skip
    words = project.words("--thin", "--json")
    words[words.index("--specfile") + 1] = str(project.root / "specs/core-kit/autogen.kit.d/virtual.yml")
    from click.testing import CliRunner

    from farm.cli.main import cli

    report = json.loads(CliRunner().invoke(cli, words, env=project.environment()).stdout)
    versions = {package["package"]: package["version"] for package in report["packages"]}
    assert versions == {"virtual/acl": "1", "virtual/awk": "2", "virtual/libc": "3", "virtual/libelf": "4",
                        "virtual/libiconv": "1", "virtual/libintl": "1", "virtual/pager": "1", "virtual/shadow": "1",
                        "virtual/tmpfiles": "3", "virtual/libffi": "3.5.2"}  # fmt: skip
    golden = {path.name: path.read_text() for path in (DATA / "autogen-golden").glob("*.ebuild")}
    made = {path.name: path.read_text() for path in project.made("virtual").rglob("*.ebuild")}
    assert {name: made[name] for name in golden} == golden
    assert len(golden) == 3 and "RDEPEND" not in made["libiconv-1.ebuild"]
    assert "sha512" not in json.dumps(report) and not list(project.made("virtual").rglob("Manifest"))


def test_hundreds_of_packages_in_order(project: Project, github: GitHub) -> None:
    names = [f"pkg{number:03}" for number in range(300)]
    for name in names[::10]:
        github.repository(f"me/{name}", ["v1.0", "v1.1"])
    spec = noop(*({name: {"vars": {"versions": ["1"]}}} for name in names))
    spec["hub"] = {
        "generator": "builtin-github",
        "defaults": {"category": "app-misc", "template": "templates/t.tmpl", "github": {"user": "me", "query": "tags"}},
        "packages": [{name: None} for name in names[::10]],
    }
    project.spec(spec)
    report = project.thin("--concurrency", "8")
    assert [package["package"] for package in report["packages"]] == [
        *(f"dev-util/{name}" for name in names),
        *(f"app-misc/{name}" for name in names[::10]),
    ]
    assert report["status"] == 0
    assert len(list(project.made("").rglob("*.ebuild"))) == 330


# Downloads.


def broken_off(body: bytes, after: int) -> Any:
    """Hangs up after some bytes the first time; gives all, or the rest, from then on."""
    calls = [0]

    def answer(request: Request) -> None:
        calls[0] += 1
        if calls[0] > 1:
            request.send(body)
            return
        handler = request.handler
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.send_header("ETag", f'"{hashlib.sha256(body).hexdigest()[:16]}"')
        handler.end_headers()
        handler.wfile.write(body[:after])

    return answer


def one_asset(project: Project, path: str) -> None:
    asset = [{"name": "foo.bin", "url": f"{project.services.base}{path}"}]
    project.spec(noop({"foo": {"vars": {"versions": ["1"]}, "assets": asset}}))


def test_a_download_that_breaks_off_is_continued(project: Project) -> None:
    body = os.urandom(3_000_000)
    project.services.files["/foo.bin"] = broken_off(body, 2_000_000)
    one_asset(project, "/foo.bin")
    assert project.thin()["status"] == 0
    assert (project.root / "work/downloads/foo.bin").read_bytes() == body
    ranges = [headers.get("Range") for _, path, headers in project.services.asked if path == "/foo.bin"]
    assert ranges[0] is None and ranges[1] is not None and int(ranges[1][6:-1]) > 0


def test_a_file_that_changes_while_it_is_downloaded(project: Project) -> None:
    first, second = os.urandom(2_000_000), os.urandom(1_500_000)
    start, whole = broken_off(first, 1_000_000), [False]

    def answer(request: Request) -> None:
        if not whole[0]:
            whole[0] = True
            start(request)
        else:
            request.send(second)

    project.services.files["/foo.bin"] = answer
    one_asset(project, "/foo.bin")
    assert project.thin()["status"] == 0
    assert (project.root / "work/downloads/foo.bin").read_bytes() == second


def test_a_changed_file_is_seen_and_an_unchanged_one_is_not_sent(project: Project) -> None:
    project.services.files["/foo.bin"] = b"one"
    one_asset(project, "/foo.bin")
    project.thin()
    project.thin()
    assert project.services.asked[-1][2]["If-None-Match"]
    project.services.files["/foo.bin"] = b"two"
    project.thin()
    assert hashlib.sha512(b"two").hexdigest() in project.ebuild("dev-util/foo/Manifest")
    assert (project.root / "work/downloads/foo.bin").read_bytes() == b"two"


def test_a_file_without_end(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    import farm.kit.distfiles.fetching as fetching

    make = fetching.Distfiles.__init__
    monkeypatch.setattr(make, "__kwdefaults__", {**(make.__kwdefaults__ or {}), "limit": 100_000})

    def endless(request: Request) -> None:
        request.handler.send_response(200)
        request.handler.end_headers()
        for _ in range(1000):
            request.handler.wfile.write(bytes(100_000))

    def huge(request: Request) -> None:
        request.handler.send_response(200)
        request.handler.send_header("Content-Length", str(10 << 30))
        request.handler.end_headers()
        request.handler.wfile.write(bytes(1000))

    for answer in (endless, huge):
        project.services.files["/foo.bin"] = answer
        one_asset(project, "/foo.bin")
        problem = project.thin()["packages"][0]["problems"][0]
        assert problem["code"] == "distfile-unavailable" and "more than" in problem["message"]
    assert not (project.root / "work/downloads").exists()


def test_kill_while_downloading(project: Project) -> None:
    body = os.urandom(4_000_000)
    begun, go_on = threading.Event(), threading.Event()

    def slow(request: Request) -> None:
        if begun.is_set():
            request.send(body)
            return
        request.handler.send_response(200)
        request.handler.send_header("Content-Length", str(len(body)))
        request.handler.send_header("ETag", f'"{hashlib.sha256(body).hexdigest()[:16]}"')
        request.handler.end_headers()
        request.handler.wfile.write(body[:2_500_000])
        request.handler.wfile.flush()
        begun.set()
        go_on.wait(60)

    project.services.files["/foo.bin"] = slow
    one_asset(project, "/foo.bin")
    with subprocess.Popen(project.command("--thin"), env=project.environment(), stdout=subprocess.DEVNULL) as process:
        assert begun.wait(60)
        parts = project.root / "store/partial"
        for _ in range(600):
            if sum(path.stat().st_size for path in parts.glob("distfile-*")) > 2_000_000:
                break
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    go_on.set()
    assert not (project.root / "work/downloads").exists()
    assert not project.made("dev-util/foo").exists()
    assert project.thin()["status"] == 0
    assert (project.root / "work/downloads/foo.bin").read_bytes() == body
    assert project.services.asked[-1][2].get("Range"), "it goes on where it was killed"
    assert list(parts.iterdir()) == []


def test_a_symlink_in_the_folder_of_downloads(project: Project, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (project.root / "work/downloads").mkdir(parents=True)
    (project.root / "work/downloads/foo.bin").symlink_to(victim)
    project.services.files["/foo.bin"] = b"content"
    one_asset(project, "/foo.bin")
    project.thin()
    assert victim.read_text() == "mine"
    assert (project.root / "work/downloads/foo.bin").read_bytes() == b"content"


def test_a_second_hub_package_of_the_same_repository_asks_once(project: Project, github: GitHub) -> None:
    github.repository("me/luet", ["v1.0"])
    atom = {"github": {"user": "me", "repo": "luet", "query": "tags"}}
    spec = noop({"anise": atom}, {"anise-build": atom})
    spec["one"]["generator"] = "builtin-github"
    project.spec(spec)
    assert project.thin()["status"] == 0
    assert len(project.services.paths("/api/repos/me/luet/tags")) == 1


@pytest.mark.slow
def test_kills_at_any_moment(project: Project) -> None:
    """What a killed run left is whole files only, and the next run makes what an undisturbed one makes."""
    base = project.services.base
    atoms = []
    for number in range(40):
        project.services.files[f"/p{number}.bin"] = os.urandom(200_000)
        asset = [{"name": f"p{number}.bin", "prefix": base}]
        atoms.append({f"p{number}": {"vars": {"versions": ["1"]}, "assets": asset}})
        project.write(f"dev-util/p{number}/files/x.patch", f"patch {number}\n")
    project.spec(noop(*atoms))
    assert project.thin()["status"] == 0
    whole = files_below(project.root / "work")
    assert len(whole) == 160
    for turn in range(12):
        for name in ("work", "store"):
            (project.root / name).rename(project.root / f"{name}-{turn}")
        for delay in (0.6 + 0.15 * turn, 1.2):
            with subprocess.Popen(
                project.command("--thin"), env=project.environment(), stdout=subprocess.DEVNULL
            ) as run:
                time.sleep(delay)
                run.send_signal(signal.SIGKILL)
            left = files_below(project.root / "work") if (project.root / "work").exists() else {}
            left = {path: content for path, content in left.items() if not Path(path).name.startswith(".")}
            assert {path: whole[path] for path in left} == left
        assert project.thin()["status"] == 0
        made = files_below(project.root / "work/sources")
        assert {f"sources/{path}": content for path, content in made.items()} == {
            path: content for path, content in whole.items() if path.startswith("sources/")
        }
        assert whole.items() <= files_below(project.root / "work").items()
