# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm anise-build build`` in the place of luet-build: flags, file names, exit statuses, configuration."""

from __future__ import annotations

import functools
import gzip
import io
import json
import os
import subprocess
import sys
import tarfile
import urllib.request
from pathlib import Path

import click
import pytest
import yaml
import zstandard
from anise_build_command import AniseBuild
from served import kept_port

from farm.cli.anise_build.surroundings import open_session
from farm.cli.pflag import GoCommand, spelled_out, switch, words

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root; the rootless farm has its own test")

TREE = ("--tree", "packages")


def content(path: Path, name: str) -> str:
    """The text of a file in a package."""
    packed = path.read_bytes()
    if path.suffix == ".gz":
        packed = gzip.decompress(packed)
    elif path.suffix == ".zst":
        packed = zstandard.ZstdDecompressor().stream_reader(packed).read()
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        file = tar.extractfile(name)
        assert file
        return file.read().decode()


def test_dependencies_go_into_the_destination_too(anise: AniseBuild) -> None:
    ran = anise("build", *TREE, "--destination", "out", "--compression", "zstd", "test/c@1.0")
    assert ran.status == 0, ran.err
    assert anise.names("out") == [f"{name}.package.tar.zst" for name in ("a-test-1.2", "b-test-1.0", "c-test-1.0")]
    assert content(anise.folder / "out" / "c-test-1.0.package.tar.zst", "c") == "c\n"
    metadata = yaml.safe_load((anise.folder / "out" / "c-test-1.0.metadata.yaml").read_text())
    assert (metadata["path"], metadata["files"]) == ("c-test-1.0.package.tar.zst", ["c"])
    assert "Artifact generated: " in ran.out


def test_only_what_was_asked_for(anise: AniseBuild) -> None:
    for flag in ("--only-target-package", "--nodeps"):
        assert anise("build", "-t", "packages", f"--destination={flag}", flag, "test/c").status == 0
        assert anise.names(flag) == ["c-test-1.0.package.tar"]
    assert anise("build", *TREE, "--destination", "deps", "--onlydeps", "test/c").status == 0
    assert anise.names("deps") == ["a-test-1.2.package.tar", "b-test-1.0.package.tar"]


@pytest.mark.parametrize("flags", [["--all"], ["--full"], ["--full", "--only-target-package"], ["--revdeps", "test/a"]])
def test_everything(anise: AniseBuild, flags: list[str]) -> None:
    assert anise("build", *TREE, *flags, "--compression", "gzip").status == 0
    assert len(anise.names("build")) == 3
    assert content(anise.folder / "build" / "b-test-1.0.package.tar.gz", "b") == "b\n"


def test_reverse_dependencies_are_only_those(anise: AniseBuild) -> None:
    anise.package("test/other", "image: alpine\nsteps: [touch /other]\n")
    assert anise("build", *TREE, "--revdeps", "test/b", "--only-target-package").status == 0
    assert anise.names("build") == ["b-test-1.0.package.tar", "c-test-1.0.package.tar"]


def test_a_failure_stops_only_what_needs_it(anise: AniseBuild) -> None:
    anise.package("test/bad", "image: alpine\nsteps: [echo told, exit 7]\n")
    ran = anise("build", *TREE, "--all", "--live-output")
    assert ran.status == 1
    assert len(anise.names("build")) == 3
    assert "told" in ran.out
    assert "Bailing out" in ran.out


def test_statuses_of_what_is_wrong(anise: AniseBuild) -> None:
    assert anise("build", *TREE, "test/nope").status == 1
    assert anise("build", "--tree", "nowhere", "--all").status == 1
    assert anise("build", *TREE, "--backend", "podman", "test/a", FARM_RUNNER="").status == 1
    assert anise("build", *TREE, "--compression", "rar", "test/a").status == 1
    assert anise("build", *TREE).status == 0
    for usage in (["build", "--no-such-flag"], ["no-such-command"], ["--push"], ["build", "--concurrency", "many"]):
        assert anise(*usage).status == 255


def test_flags_without_meaning(anise: AniseBuild) -> None:
    flags = ["--push", "--pull=false", "--image-repository", "a/b", "-p", "c/d", "--backend-args", "--squash",
             "--no-spinner", "--keep-images=true", "--solver-rate=0.3"]  # fmt: skip
    ran = anise("-d", "build", *TREE, *flags, "test/a")
    assert ran.status == 0
    assert "--image-repository means nothing here" in ran.err
    assert "means nothing" not in anise("build", *TREE, *flags, "test/a").err


def test_pretend(anise: AniseBuild) -> None:
    text = anise("build", *TREE, "--pretend", "--full")
    assert text.out.splitlines() == ["test/a-1.2 required for test/c-1.0", "test/b-1.0 required for test/c-1.0"]
    rows = anise("build", *TREE, "--pretend", "test/b", "-o", "json").json()["packages"]
    assert rows == yaml.safe_load(anise("build", *TREE, "--pretend", "test/b", "-oyaml").out)["packages"]
    assert [(row["name"], row["target"]) for row in rows] == [("a", "test/b-1.0")]
    assert anise("build", *TREE, "--pretend", "--revdeps", "test/a").status == 0
    assert not (anise.folder / "build").exists()


def test_configuration(anise: AniseBuild) -> None:
    """The flag, the environment, the file, the default: the first that says something."""
    for word in ("file", "variable", "flag"):
        (anise.folder / f"{word}.yaml").write_text(f"word: {word}\n")
    (anise.folder / ".luet.yaml").write_text("tree: [packages]\nvalues: [file.yaml]\nimage-repository: a/b\n")
    (anise.folder / "other.yaml").write_text("tree: packages\ncompression: gzip\ngeneral: {show_build_output: true}\n")

    def word(*words: str, **env: str) -> str:
        assert anise("build", "test/c", *words, **env).status == 0
        return content(anise.folder / "build" / "c-test-1.0.package.tar", "c").strip()

    assert word() == "file"
    assert word(LUET_VALUES="variable.yaml") == "variable"
    assert word(ANISE_VALUES="file.yaml,variable.yaml") == "variable"
    assert word("--values", "flag.yaml", LUET_VALUES="variable.yaml") == "flag"
    for call in (["--config", "other.yaml", "build", "test/a"], ["build", "test/a", "--config=other.yaml"]):
        assert anise(*call, "--destination", "gz").status == 0
        assert "a-test-1.2.package.tar.gz" in anise.names("gz")
    assert anise("config", "--config", "other.yaml", LUET_SYSTEM__TMPDIR_BASE="/here").status == 0
    shown = yaml.safe_load(anise("config", LUET_SYSTEM__TMPDIR_BASE="/here").out)
    assert (shown["tree"], shown["system"]["tmpdir_base"]) == (["packages"], "/here")


def test_network_is_on_unless_farm_yaml_says_otherwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    context = click.Context(click.Command("build"))
    assert open_session(context, {}).settings.network
    (tmp_path / "farm.yaml").write_text("network: false\nrunner: sandbox\n")
    settings = open_session(context, {"tree": (), "backend": "docker"}).settings
    assert (settings.network, settings.runner, settings.keep_going) == (False, "sandbox", True)


def test_words_as_pflag_reads_them() -> None:
    @click.command(cls=GoCommand)
    @switch("--all", "-a", help="")
    @switch("--debug", "-d", default=True, help="")
    @words("--tree", "-t", help="")
    def command(**_options: object) -> None:
        """Nothing."""

    def read(*args: str) -> tuple[object, ...]:
        context = command.make_context("x", list(args))
        return context.params["all"], context.params["debug"], context.params["tree"], *context.args

    assert read("--all", "-t", "a,b", "--tree=c") == (True, True, ("a", "b", "c"))
    assert read("-ad=false", "-tx") == (True, False, ("x",))
    assert read("-adt", "x") == (True, True, ("x",))
    assert read("--all=0", "-t=x") == (False, True, ("x",))
    context = click.Context(command)
    assert spelled_out(command, context, ["--help", "--", "-a"]) == ["--help", "--", "-a"]
    assert spelled_out(command, context, ["x", "-a"], interspersed=False) == ["x", "-a"]


SCRIPT = """
set -e
$LUET_BUILD tree genidx --only-upper-level -t "$PWD/packages"
$LUET_BUILD build --tree "$PWD/packages" --destination out --compression zstd test/c@1.0 > /dev/null
[ -e out/b-test-1.0.package.tar.zst ]
[ ! -e out/repository.yaml ]
$LUET_BUILD create-repo --tree packages --output out --packages out --name test --descr "Test Repo" \
  --urls "$PWD/root" --tree-filename foo.tar.zst --with-compilertree --type disk > /dev/null
[ -e out/repository.yaml ] && [ -e out/foo.tar.zst ] && [ ! -e out/foo.tar ]
! $LUET_BUILD build --tree packages test/nothing
output=$($LUET_BUILD tree validate --tree packages)
case "$output" in *"All good!"*) ;; *) exit 1 ;; esac
"""


def test_a_script_that_calls_luet_build(anise: AniseBuild) -> None:
    ran = anise.shell(["sh", "-c", SCRIPT], LUET_BUILD=f"{sys.executable} -m farm anise-build")
    assert ran.status == 0, ran.err
    repository = yaml.safe_load((anise.folder / "out" / "repository.yaml").read_text())
    assert (repository["name"], repository["type"], repository["revision"]) == ("test", "disk", 1)


def test_from_repositories(anise: AniseBuild) -> None:
    wagon = ["--output", "out", "--packages", "out", "--name", "main"]
    assert anise("build", *TREE, "--destination", "out", "test/c").status == 0
    assert anise("create-repo", *TREE, *wagon, "--with-compilertree").status == 0
    (anise.folder / "empty").mkdir()
    repository = {"name": "main", "type": "disk", "enable": True, "urls": [str(anise.folder / "out")]}
    (anise.folder / "luet.yaml").write_text(json.dumps({"repositories": [repository]}))
    flags = ["--from-repositories", "--tree", "empty", "--config", "luet.yaml"]
    ran = anise("build", *flags, "test/c", "--destination", "again")
    assert ran.status == 0, ran.err
    assert anise.names("again") == anise.names("out")
    assert anise("create-repo", *flags, "--repo", "main", "--packages", "again", "--output", "again").status == 0
    assert yaml.safe_load((anise.folder / "again" / "repository.yaml").read_text())["name"] == "main"


def test_pack(anise: AniseBuild) -> None:
    (anise.folder / "files" / "etc").mkdir(parents=True)
    (anise.folder / "files" / "etc" / "foo").write_text("hello\n")
    anise.package("foo/bar", "", "1.1", "license: MIT\n")
    ran = anise("pack", "foo/bar@1.1", "--source", "files", "--destination", "out")
    assert ran.status == 0, ran.err
    assert content(anise.folder / "out" / "bar-foo-1.1.package.tar.gz", "etc/foo") == "hello\n"
    first = (anise.folder / "out" / "bar-foo-1.1.package.tar.gz").read_bytes()
    assert anise("pack", "foo/bar@1.1", "--source", "files", "--destination", "out").status == 0
    assert (anise.folder / "out" / "bar-foo-1.1.package.tar.gz").read_bytes() == first
    created = anise("create-repo", *TREE, "--packages", "out", "--output", "out")
    assert (created.status, "foo/bar-1.1" in created.out) == (0, True)
    for wrong in ([], ["foo/bar"], ["foo/bar@>=1"], ["foo/bar@1", "foo/bar@2"]):
        assert anise("pack", *wrong).status == 1


def test_pack_of_the_working_directory_leaves_itself_out(anise: AniseBuild) -> None:
    inside = AniseBuild(anise.folder / "inside")
    (inside.folder / "etc").mkdir(parents=True)
    for _ in range(2):
        assert inside("pack", "foo/bar@1.1", "--compression", "none").status == 0
    with tarfile.open(inside.folder / "bar-foo-1.1.package.tar") as tar:
        assert tar.getnames() == ["etc"]


@pytest.mark.docker
def test_docker_is_the_default_where_an_engine_answers(anise: AniseBuild, docker_host: str, busybox_tar: Path) -> None:
    image = f"farm-test-{os.getpid()}:box"
    (anise.folder / "farm.yaml").unlink()
    anise.package("test/docked", f"image: {image}\nsteps: [cat /proc/1/cgroup /.dockerenv >/docked; ls /.dockerenv]\n")
    docker = ["docker", "-H", docker_host]
    subprocess.run([*docker, "import", busybox_tar, image], check=True, capture_output=True)
    try:
        for backend in ((), ("--backend", "dockerv3")):
            ran = anise("build", *TREE, *backend, "test/docked", FARM_RUNNER="", DOCKER_HOST=docker_host)
            assert (ran.status, "runner docker" in ran.err) == (0, True), ran.err
    finally:
        subprocess.run([*docker, "rmi", "-f", image], check=True, capture_output=True)
    assert anise.names("build") == ["docked-test-1.0.package.tar"]


def test_the_sandbox_where_no_engine_answers(anise: AniseBuild) -> None:
    nowhere = {"FARM_RUNNER": "", "DOCKER_HOST": f"unix://{anise.folder}/nobody.sock"}
    ran = anise("build", *TREE, "test/a", **nowhere)
    assert (ran.status, "runner sandbox" in ran.err) == (0, True)
    (anise.folder / "farm.yaml").unlink()
    assert anise("build", *TREE, "test/a", **nowhere).status == 1


def test_serve_repo(anise: AniseBuild) -> None:
    assert anise("build", *TREE, "test/a").status == 0
    assert anise("create-repo", *TREE).status == 0
    command = [sys.executable, "-m", "farm", "anise-build", "serve-repo", "--dir", "build", "--address=127.0.0.1"]
    called = functools.partial(subprocess.Popen, cwd=anise.folder, env=anise.environ, stdout=subprocess.PIPE)
    with kept_port() as port, called([*command, "--port", str(port)]) as server:
        assert server.stdout
        assert str(port).encode() in server.stdout.readline()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/repository.yaml") as answer:
            assert yaml.safe_load(answer.read())["name"] == "luet"
        server.terminate()
        assert server.wait(20) == 0
    assert anise("serve-repo", "--dir", "nowhere").status == 1
