# SPDX-License-Identifier: GPL-3.0-or-later
"""Extensions: bundles of modules, crates and submodules, and scripts in the sandbox."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import tarfile
import tomllib
from pathlib import Path
from typing import Any

import pytest
from autogen_project import Project
from autogen_services import GitHub, go_module, sha, tarball
from git_server import GitServer
from git_server import git as git_command
from job_roots import busybox, busybox_root
from served import served as git_serving


def spec(extension: str, atom: dict[str, Any] | None = None, **options: str) -> dict[str, Any]:
    """One package of GitHub's with an extension."""
    defaults = {"category": "app-misc", "template": "templates/t.tmpl", "github": {"user": "me", "query": "tags"}}
    return {"one": {
        "generator": "builtin-github",
        "extensions_defs": {extension: {"opts": options}},
        "defaults": defaults,
        "packages": [{"foo": {"extensions": [extension], **(atom or {})}}],
    }}  # fmt: skip


def source(project: Project, github: GitHub, files: dict[str, bytes]) -> None:
    """Version 1.0 of me/foo, whose tarball has these files."""
    github.repository("me/foo", ["v1.0"])
    content = tarball(f"me-foo-{sha('v1.0')[:7]}", files)
    project.services.files["/api/repos/me/foo/tarball/refs/tags/v1.0"] = content


def members(project: Project, name: str) -> dict[str, tarfile.TarInfo]:
    """The members of a bundle in the folder of downloads."""
    with tarfile.open(project.root / "work/downloads" / name) as tar:
        return {member.name: member for member in tar.getmembers()}


GO_BUNDLE = f"foo-1.0-mark-go-bundle-{sha('v1.0')[:7]}.tar.xz"


def test_golang(project: Project, github: GitHub) -> None:
    lines = go_module(project.services, "github.com/BurntSushi/toml", "v1.3.2", {"go.mod": b"module x\n", "a.go": b"a"})
    lines += go_module(project.services, "golang.org/x/mod", "v0.4.0", {"b.go": b"b" * 5000})
    source(project, github, {"go.sum": lines.encode(), "main.go": b"x", "sub/go.sum": b"not this one\n"})
    project.spec(spec("golang"))
    report = project.thin()
    assert report["status"] == 0, report
    assert report["packages"][0]["distfiles"][1] == GO_BUNDLE
    found = members(project, GO_BUNDLE)
    assert sorted(name for name, member in found.items() if member.isfile()) == [
        "mark-go-bundle-foo/github.com%2F!burnt!sushi%2Ftoml%2F@v%2Fv1.3.2.mod",
        "mark-go-bundle-foo/github.com%2F!burnt!sushi%2Ftoml%2F@v%2Fv1.3.2.zip",
        "mark-go-bundle-foo/golang.org%2Fx%2Fmod%2F@v%2Fv0.4.0.mod",
        "mark-go-bundle-foo/golang.org%2Fx%2Fmod%2F@v%2Fv0.4.0.zip",
    ]
    ebuild = project.ebuild("app-misc/foo/foo-1.0.ebuild")
    assert f"mirror://macaroni/{GO_BUNDLE} -> {GO_BUNDLE}" in ebuild
    manifest = project.ebuild("app-misc/foo/Manifest")
    bundle = (project.root / "work/downloads" / GO_BUNDLE).read_bytes()
    assert f"DIST {GO_BUNDLE} {len(bundle)} BLAKE2B {hashlib.blake2b(bundle).hexdigest()}" in manifest
    assert project.services.strange == []

    (project.root / "work/downloads" / GO_BUNDLE).unlink()
    asked = len(project.services.paths("/goproxy"))
    project.thin()
    assert len(project.services.paths("/goproxy")) == asked, "modules are immutable: they are asked for once"
    assert (project.root / "work/downloads" / GO_BUNDLE).read_bytes() == bundle, "the same bytes each time"


@pytest.mark.parametrize("what", ["zip", "mod"])
def test_golang_with_a_module_that_is_not_what_go_sum_says(project: Project, github: GitHub, what: str) -> None:
    lines = go_module(project.services, "example.org/a", "v1.0.0", {"a.go": b"a"})
    other = go_module(project.services, "example.org/b", "v1.0.0", {"a.go": b"b"})
    wrong = project.services.files[f"/goproxy/example.org/b/@v/v1.0.0.{what}"]
    project.services.files[f"/goproxy/example.org/a/@v/v1.0.0.{what}"] = wrong
    source(project, github, {"go.sum": lines.encode()})
    project.spec(spec("golang"))
    assert other
    report = project.thin()
    assert report["packages"][0]["problems"][0]["code"] == "bundle-mismatch"
    assert not project.made("app-misc/foo").exists()


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ({"main.go": b""}, "no-go-sum"),
        ({"go.sum": b"a b\n"}, "bad-go-sum"),
        ({"go.sum": b"../../etc v1.0.0 h1:" + b"A" * 43 + b"=\n"}, "bad-go-sum"),
        ({"go.sum": b"gone.example/x v1.0.0 h1:" + b"A" * 43 + b"=\n"}, "distfile-unavailable"),
    ],
)
def test_golang_without_what_it_needs(project: Project, github: GitHub, files: dict[str, bytes], code: str) -> None:
    source(project, github, files)
    project.spec(spec("golang"))
    report = project.thin()
    assert (report["status"], report["packages"][0]["problems"][0]["code"]) == (1, code)


def test_an_archive_that_unpacks_to_no_end(project: Project, github: GitHub) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:xz", preset=0) as tar:
        entry = tarfile.TarInfo("foo/go.sum")
        entry.size = 40 << 20
        tar.addfile(entry, io.BytesIO(bytes(entry.size)))
    source(project, github, {})
    project.services.files["/api/repos/me/foo/tarball/refs/tags/v1.0"] = out.getvalue()
    project.spec(spec("golang"))
    assert project.thin()["packages"][0]["problems"][0]["code"] == "archive-too-large"
    project.services.files["/api/repos/me/foo/tarball/refs/tags/v1.0"] = out.getvalue()[:1000]
    assert project.thin()["packages"][0]["problems"][0]["code"] in ("bad-archive", "archive-too-large")
    for content in (
        b"",
        b"\xfd7zXZ\0" + bytes(99),
        b"\x28\xb5\x2f\xfd" + b"x" * 99,
        b"PK\x03\x04" + b"x" * 99,
        b"BZh9x",
    ):
        project.services.files["/api/repos/me/foo/tarball/refs/tags/v1.0"] = content
        assert project.thin()["packages"][0]["problems"][0]["code"] == "bad-archive"


def crate(project: Project, name: str, version: str, content: bytes = b"crate") -> str:
    """A crate of the registry: its entry of Cargo.lock."""
    project.services.files[f"/crates/{name}/{version}/download"] = content
    checksum = hashlib.sha256(content).hexdigest()
    source = "registry+https://github.com/rust-lang/crates.io-index"
    return f'[[package]]\nname = "{name}"\nversion = "{version}"\nsource = "{source}"\nchecksum = "{checksum}"\n\n'


LOCAL = '[[package]]\nname = "foo"\nversion = "1.0.0"\n\n'


def test_rust(project: Project, github: GitHub) -> None:
    lock = "version = 3\n\n" + crate(project, "serde", "1.0.1") + crate(project, "skipped", "0.1.0") + LOCAL
    source(project, github, {"Cargo.lock": lock.encode(), "Cargo.toml": b"[package]\nname='foo'\n"})
    project.spec(spec("rust", crates_skipped="skipped", bundle_extension=".zst"))
    report = project.thin()
    name = f"foo-1.0-mark-rust-bundle-{sha('v1.0')[:7]}.tar.zst"
    assert report["packages"][0]["distfiles"][1] == name, report
    import zstandard

    with (
        open(project.root / "work/downloads" / name, "rb") as file,
        zstandard.ZstdDecompressor().stream_reader(file) as raw,
        tarfile.open(fileobj=raw, mode="r|") as tar,
    ):
        assert [member.name for member in tar if member.isfile()] == ["mark-rust-bundle-foo/serde-1.0.1.crate"]
    project.services.files["/crates/evil/1.0.0/download"] = b"evil"
    bad = lock + crate(project, "evil", "1.0.0").replace(hashlib.sha256(b"crate").hexdigest(), "0" * 64)
    source(project, github, {"Cargo.lock": bad.encode()})
    report = project.thin()
    assert report["packages"][0]["problems"][0]["code"] == "distfile-mismatch"
    source(project, github, {"Cargo.lock": b'[[package]]\nname="../x"\nversion="1"\nsource="registry+x"\n'})
    assert project.thin()["packages"][0]["problems"][0]["code"] == "bad-cargo-lock"


def repository(server: GitServer, name: str, files: dict[str, str]) -> tuple[Path, str]:
    """A repository with one commit."""
    bare = server.create(name)
    work = bare.parent / f"{bare.name}.work"
    subprocess.run(["git", "init", "-q", work], check=True)
    for path, text in files.items():
        (work / path).parent.mkdir(parents=True, exist_ok=True)
        (work / path).write_text(text)
    commit(work)
    push(work, bare)
    return work, git_command(bare, "rev-parse", "refs/heads/master")


def commit(work: Path) -> None:
    who = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    subprocess.run(["git", "-C", work, "add", "-A"], check=True)
    subprocess.run(["git", "-C", work, *who, "commit", "-q", "-m", "x"], check=True)


def push(work: Path, bare: Path) -> None:
    subprocess.run(["git", "-C", work, "push", "-q", str(bare), "HEAD:refs/heads/master"], check=True)
    git_command(bare, "config", "uploadpack.allowAnySHA1InWant", "true")


def test_git_crates_and_submodules(project: Project, github: GitHub, tmp_path: Path) -> None:
    (tmp_path / "git").mkdir()
    server = GitServer(tmp_path / "git")
    with git_serving(server):
        _, crate_commit = repository(
            server, "up/krate", {"crates/inner/Cargo.toml": '[package]\nname = "inner"\n', "x": "y"}
        )
        repository(server, "up/lib", {"lib.c": "int x;\n", "run.sh": "#!/bin/sh\n"})
        main, _ = repository(server, "up/main", {"main.c": "int main;\n"})
        url = f"{server.url}/up/lib.git"
        subprocess.run(["git", "-C", main, "submodule", "--quiet", "add", url, "third/lib"], check=True)
        commit(main)
        push(main, tmp_path / "git/up/main.git")
        head = git_command(tmp_path / "git/up/main.git", "rev-parse", "refs/heads/master")
        place = f"git+{server.url}/up/krate.git?rev=x#{crate_commit}"
        git_crate = f'[[package]]\nname = "inner"\nversion = "0.1.0"\nsource = "{place}"\n'
        source(project, github, {"Cargo.lock": git_crate.encode()})
        project.spec(spec("rust"))
        report = project.thin()
        assert report["status"] == 0, report
        (inner,) = [n for n in members(project, report["packages"][0]["distfiles"][1]) if n.endswith(".tar.xz")]
        assert inner.endswith(f"%2Fup%2Fkrate.git-{crate_commit}.tar.xz")
        with tarfile.open(project.root / "work/downloads" / report["packages"][0]["distfiles"][1]) as tar:
            file = tar.extractfile(inner)
            assert file
            with tarfile.open(fileobj=file) as nested:
                names = nested.getnames()
                config = next(name for name in names if name.endswith("mark_config.toml"))
                settings = nested.extractfile(config)
                assert settings
                patch = tomllib.loads(settings.read().decode())["patch"][f"{server.url}/up/krate.git"]
        assert patch["inner"]["path"].endswith("/crates/inner") and not any(".git/" in name for name in names)

        atom = {"vars": {"git_repo": f"{server.url}/up/main.git", "sha": head, "pkg_basedir": "main-1.0"}}
        project.spec(spec("git-submodules", atom))
        report = project.thin()
        assert report["status"] == 0, report
        name = report["packages"][0]["distfiles"][1]
        assert name == f"foo-1.0-mark-gitsubmodules-bundle-{head[:7]}.tar.xz"
        files = [member for member, info in members(project, name).items() if info.isfile()]
        assert files == ["main-1.0/third/lib/lib.c", "main-1.0/third/lib/run.sh"]
        atom["vars"]["git_repo"] = f"file://{tmp_path}/git/up/main.git"
        project.spec(spec("git-submodules", atom))
        assert project.thin()["packages"][0]["problems"][0]["code"] == "bad-git-url"


# Scripts, in the sandbox.

needs_sandbox = pytest.mark.skipif(os.geteuid() != 0 or busybox() is None, reason="needs root and busybox")


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder with a root tarball of busybox and a store that has it, and farm.yaml's entry of the seed."""
    program = busybox()
    assert program
    folder = tmp_path_factory.mktemp("box")
    content = busybox_root(program).getvalue()
    (folder / "root.tar").write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    return folder, f"seeds:\n  box:\n    url: file://{folder}/root.tar\n    sha256: {digest}\n"


@pytest.fixture
def scripts(project: Project, box: tuple[Path, str]) -> Project:
    """A seed of busybox for scripts."""
    project.write("farm.yaml", box[1])
    project.store = box[0] / "store"
    return project


def run_scripts(project: Project, *words: str) -> dict[str, Any]:
    """A thin run with the seed; settings are those of the specification's folder."""
    before = Path.cwd()
    os.chdir(project.root / "specs")
    try:
        return project.thin("--seed", "box", *words)
    finally:
        os.chdir(before)


CUSTOM = {"one": {
    "generator": "custom",
    "generator_opts": {"script": "scripts/look.sh"},
    "defaults": {"category": "app-misc", "template": "templates/t.tmpl"},
    "packages": [{"foo": {"vars": {"channel": "stable"}}}],
}}  # fmt: skip

LOOK = """\
#!/bin/sh
. ./script/helper.sh
case "$1" in
process) printf 'vars:\\n  versions: [1.9, "1.10"]\\n  desc: %s\\n' "$(grep -c 'channel: stable' "$2")" >"$3" ;;
set-version)
  version=$(sed -n 's/^  version: .\\(.*\\).$/\\1/p' "$2")
  echo "artefacts: [{url: '$BASE/{{ .Values.pn }}-$version.tgz', name: 'foo-{{ .Values.version }}.tgz'}]" >"$3" ;;
esac
"""


@needs_sandbox
def test_a_custom_script(scripts: Project) -> None:
    scripts.spec(CUSTOM)
    scripts.write("scripts/look.sh", LOOK, 0o755)
    scripts.write("scripts/helper.sh", f"BASE={scripts.services.base}\n")
    scripts.services.files["/foo-1.10.tgz"] = b"tgz"
    report = run_scripts(scripts)
    assert report["packages"][0]["distfiles"] == ["foo-1.10.tgz"], report
    assert 'DESCRIPTION="1"' in scripts.ebuild("app-misc/foo/foo-1.10.ebuild")


@needs_sandbox
def test_a_script_sees_nothing_of_the_host(scripts: Project) -> None:
    scripts.env["SECRET_TOKEN"] = "hidden"
    secret = scripts.root / "secret"
    secret.write_text("hidden")
    scripts.spec(CUSTOM)
    port = scripts.services.base.rpartition(":")[2]
    scripts.write("scripts/look.sh", f"""#!/bin/sh
[ "$1" = process ] || {{ echo 'vars: {{}}' >"$3"; exit; }}
[ -e {secret} ] && exit 11
[ -e /root/.ssh ] && exit 12
[ -S /var/run/docker.sock ] && exit 13
env | grep -q hidden && exit 14
wget -q -O /dev/null http://127.0.0.1:{port}/foo && exit 15
ln -s /etc/shadow "$3"
""", 0o755)  # fmt: skip
    report = run_scripts(scripts)
    assert report["packages"][0]["problems"][0]["code"] == "bad-script-output", report
    assert scripts.services.paths("/foo") == []


@needs_sandbox
@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("#!/bin/sh\necho some reason >&2\nexit 7\n", "script-failed"),
        ("#!/bin/sh\ntrue\n", "bad-script-output"),
        ("#!/bin/sh\necho '[1, 2]' >$3\n", "bad-script-output"),
        ("#!/bin/sh\necho 'vars: [1]' >$3\n", "bad-script-output"),
        ("#!/bin/sh\ndd if=/dev/zero bs=1M count=9 of=$3 2>/dev/null\n", "bad-script-output"),
        ("#!/no/such/program\n", "script-failed"),
    ],
)
def test_scripts_that_go_wrong(scripts: Project, text: str, code: str) -> None:
    scripts.spec(CUSTOM)
    scripts.write("scripts/look.sh", text, 0o755)
    report = run_scripts(scripts)
    problem = report["packages"][0]["problems"][0]
    assert (report["status"], problem["code"]) == (1, code), report
    if "some reason" in text:
        assert "some reason" in problem["message"] and "network" in problem["hint"]


@needs_sandbox
def test_a_custom_extension_makes_an_artefact(scripts: Project, github: GitHub) -> None:
    source(scripts, github, {"README.md": b"hello"})
    scripts.write("ext/make.sh", """#!/bin/sh
set -e
tarball=$(ls downloads)
cp "downloads/$tarball" downloads/extra.bin && echo more >>downloads/extra.bin
printf 'vars: {extra: yes}\\nartefacts: [{name: extra.bin, url: "mirror://macaroni/extra.bin", local: true}]\\n' >"$2"
""", 0o755)  # fmt: skip
    scripts.spec(spec("custom", script="ext/make.sh"))
    report = run_scripts(scripts)
    assert report["packages"][0]["distfiles"][1] == "extra.bin", report
    assert (scripts.root / "work/downloads/extra.bin").read_bytes().endswith(b"more\n")
    scripts.write(
        "ext/make.sh",
        "#!/bin/sh\necho 'artefacts: [{name: other.bin, url: \"mirror://m/o\", local: true}]' >$2\n",
        0o755,
    )
    assert run_scripts(scripts)["packages"][0]["problems"][0]["code"] == "no-artefact"
