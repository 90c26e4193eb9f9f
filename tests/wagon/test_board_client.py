# SPDX-License-Identifier: GPL-3.0-or-later
"""wagon-install, the shell script by which a board of busybox installs packages: it takes our wagons, and no damage."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from workshop import Workshop, digest, entry_files, repository_yaml, running_server, tree_file

SCRIPT = Path(__file__).parents[2] / "specs/boards/tools/wagon-client/wagon-install"
UNZSTD = "import sys, zstandard; zstandard.ZstdDecompressor().copy_stream(sys.stdin.buffer, sys.stdout.buffer)"
APPLETS = ("wget", "tar", "sha256sum", "sed", "mktemp", "mkdir", "rm", "cat")


class Client:
    """The script, with busybox for all that it calls, and a machine's name."""

    def __init__(self, folder: Path) -> None:
        self.root, self.bin = folder / "root", folder / "bin"
        self.root.mkdir()
        self.bin.mkdir()
        for name in APPLETS:
            (self.bin / name).symlink_to(str(shutil.which("busybox")))
        self._program("unzstd", f'exec {sys.executable} -c "{UNZSTD}"')
        self._program("uname", "echo aarch64")

    def _program(self, name: str, line: str) -> None:
        (self.bin / name).write_text(f"#!/bin/sh\n{line}\n")
        (self.bin / name).chmod(0o755)

    def install(self, url: str, *packages: str) -> tuple[int, str, str]:
        """Status, output, errors."""
        env = {"PATH": str(self.bin), "FARM_ROOT": str(self.root)}
        command = ["/bin/sh", str(SCRIPT), url, *packages]  # busybox' own shell would not call this `uname`
        done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=60, check=False)
        return done.returncode, done.stdout, done.stderr

    @property
    def files(self) -> set[str]:
        """All files below the root."""
        return {str(path.relative_to(self.root)) for path in self.root.rglob("*") if path.is_file()}


@pytest.fixture
def client(tmp_path: Path) -> Client:
    """A client with an empty root."""
    if not shutil.which("busybox"):
        pytest.skip("there is no busybox here")
    return Client(tmp_path)


def test_packages_are_installed(workshop: Workshop, client: Client) -> None:
    created = workshop.create(platform="linux/arm64")
    assert created.changed
    with running_server(workshop.output) as server:
        status, out, err = client.install(server.url, "lib/greet", "app/greeter")
    assert (status, err) == (0, "")
    sums = [
        digest((workshop.packages / f"{name}-1.0.package.tar.zst").read_bytes())
        for name in ("greet-lib", "greeter-app")
    ]
    assert out == f"installed lib/greet-1.0 ({sums[0]})\ninstalled app/greeter-1.0 ({sums[1]})\n"
    assert {"usr/bin/greet", "usr/bin/greeter", "var/lib/farm/installed/lib/greet"} <= client.files
    assert (client.root / "usr/bin/greet").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("pattern", ["greet-lib-*.tar.zst", "tree-*.tar.zst"])
def test_what_is_damaged_is_not_installed(workshop: Workshop, client: Client, pattern: str) -> None:
    workshop.create()
    file = next(workshop.output.glob(pattern))
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with running_server(workshop.output) as server:
        status, _, err = client.install(server.url, "lib/greet")
    assert status == 1 and f"{file.name} is not what the wagon says it is" in err
    assert client.files == set()


def test_another_machines_wagon_is_refused(workshop: Workshop, client: Client) -> None:
    workshop.create(platform="linux/arm/v7")
    with running_server(workshop.output) as server:
        status, _, err = client.install(server.url, "lib/greet")
    assert status == 1 and "the wagon is for linux/arm/v7, this is linux/arm64" in err and client.files == set()


def test_what_is_not_there_is_told(workshop: Workshop, client: Client) -> None:
    workshop.create()
    with running_server(workshop.output) as server:
        assert "the wagon has no package lib/none" in client.install(server.url, "lib/none")[2]
        assert "there is no" in client.install(f"{server.url}below/", "lib/greet")[2]
        assert client.install(server.url)[0] == 2
    assert client.install(server.url, "lib/greet")[0] == 1


def test_a_name_from_the_network_is_no_path(tmp_path: Path, client: Client) -> None:
    folder = tmp_path / "hostile"
    folder.mkdir()
    tree = tree_file({**entry_files(), "lib/greet/1.0/metadata.json": json.dumps({"path": "../x"}).encode()})
    (folder / "tree.tar.zst").write_bytes(tree)
    written = json.loads(repository_yaml(tree))["repo_files"]["treev2"]
    for name in ("../tree.tar.zst", "-Otree", ".hidden", "tree.tar.zst"):
        text = f"repo_files:\n  treev2:\n    filename: {name}\n    compressiontype: zstd\n    checksums:\n"
        (folder / "repository.yaml").write_text(f"{text}      sha256: {written['checksums']['sha256']}\n")
        with running_server(folder) as server:
            status, _, err = client.install(server.url, "lib/greet")
        assert status == 1 and ("names a file" in err or "no digest" in err), (name, err)
    assert client.files == set()
