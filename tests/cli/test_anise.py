# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm anise`` on the wagons that the Go tool made: every command as a person or a script calls it."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from farm_command import Ran

WAGONS = Path(__file__).parent.parent / "data" / "wagons"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="owners need root")


@dataclasses.dataclass(frozen=True)
class Client:
    """A root with a configuration, and the command line on it."""

    folder: Path

    @property
    def root(self) -> Path:
        return self.folder / "root"

    def run(self, *words: str, status: int = 0, **env: str) -> Ran:
        command = [sys.executable, "-m", "farm", "anise", "--config", str(self.folder / "luet.yaml"), *words]
        environ = {**os.environ, "HOME": str(self.folder), **env}
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=self.folder, env=environ, timeout=60, stdin=subprocess.DEVNULL
        )
        assert "Traceback" not in done.stderr, done.stderr
        assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
        return Ran(done.returncode, done.stdout, done.stderr)

    def installed(self) -> list[str]:
        return self.run("search", "--installed", "--hidden").out.split()

    def repository(self, name: str, **more: Any) -> None:
        (self.folder / "repos").mkdir(exist_ok=True)
        data = {"name": name, "type": "disk", "enable": True, "urls": [str(WAGONS / "go")], **more}
        (self.folder / "repos" / f"{name}.yml").write_text(yaml.safe_dump(data))


@pytest.fixture
def client(tmp_path: Path) -> Client:
    """A client with one repository, the Go tool's sample wagon."""
    made = Client(tmp_path)
    document = {
        "system": {"rootfs": str(made.root), "tmpdir_base": str(tmp_path / "tmp")},
        "repos_confdir": [str(tmp_path / "repos")],
        "subsets_confdir": [str(tmp_path / "subsets")],
        "subsets_defdir": [],
        "config_protect_confdir": [],
        "packages_maskdir": [str(tmp_path / "masks")],
    }
    (tmp_path / "luet.yaml").write_text(yaml.safe_dump(document))
    made.root.mkdir()
    made.repository("ref")
    return made


def install(client: Client, *words: str, **options: Any) -> Ran:
    return client.run("install", "-y", "--skip-finalizers", *words, **options)


def test_install_and_uninstall(client: Client) -> None:
    shown = install(client, "meta/full").out
    assert "[N] lib/greet::ref" in shown
    assert client.installed() == ["app/editor-a-1.0", "app/greeter-1.0", "lib/greet-1.0", "meta/full-1.0"]
    assert (client.root / "usr/bin/greeter").stat().st_mode & 0o7777 == 0o4755
    assert not (client.root / "usr/include/greet.h").exists(), "the subset devel is not enabled"
    again = install(client, "meta/full")
    assert "No packages to install." in again.out and "[meta/full] already installed." in again.err
    assert "[D] meta/full::ref" in client.run("uninstall", "-y", "lib/greet").out
    assert client.installed() == ["app/editor-a-1.0"]
    assert not (client.root / "usr/lib").exists()


@pytest.mark.parametrize("wagon", ["go", "minimal"])
def test_both_sample_wagons(client: Client, wagon: str) -> None:
    client.repository("ref", urls=[str(WAGONS / wagon)])
    install(client, "app/greeter")
    assert (client.root / "usr/bin/gr").is_symlink()


@pytest.mark.parametrize(
    ("words", "code"),
    [(("nope/foo",), "unknown-target"), (("lib/gret",), "unknown-target"), (("lib/greet@>=9",), "missing-requirement"),
     (("app/editor-a", "app/editor-b"), "unsatisfiable"), (("lib/greet@",), "bad-target")],
)  # fmt: skip
def test_what_cannot_be_installed(client: Client, words: tuple[str, ...], code: str) -> None:
    ran = install(client, *words, status=1)
    assert f"[{code}]" in ran.err
    assert client.installed() == []


def test_an_unsolvable_wish_says_who_asks_for_what(client: Client) -> None:
    install(client, "app/editor-a")
    said = install(client, "app/editor-b", status=1).err
    assert "app/editor-a-1.0" in said and "conflicts with" in said
    replaced = client.run("miner", "replace-package", "app/editor-a", "--for", "app/editor-b", "--skip-finalizers")
    assert "[D] app/editor-a" in replaced.out
    assert client.installed() == ["app/editor-b-1.0"]


def test_pretend_and_no(client: Client) -> None:
    assert "[N] lib/greet" in client.run("i", "--pretend", "lib/greet").out
    assert "cancelled" in client.run("install", "lib/greet", status=1).err or client.installed() == []
    assert client.installed() == []
    client.run("install", "lib/greet", LUET_YES="true")
    assert client.installed() == ["lib/greet-1.0"]


def test_search(client: Client) -> None:
    assert client.run("s", "--quiet", "editor").out.split() == ["app/editor-a", "app/editor-b"]
    assert "| app/editor-a | 1.0     | ref" in client.run("search", "--table", "editor").out
    (stone,) = client.run("search", "-o", "json", "-n", "greet", "--full", "--files").json()["stones"]
    assert (stone["category"], stone["repository"], stone["labels"]) == ("lib", "ref", {"kit": "ref-kit"})
    assert f"{client.root}/usr/lib/libgreet.so" in stone["files"]
    bare = client.run("search", "-ojson", "-n", "greet", "--files", "--with-rootfs-prefix=false").json()["stones"]
    assert "usr/lib/libgreet.so" in bare[0]["files"]
    assert yaml.safe_load(client.run("search", "-o", "yaml", "none").out) == {"stones": []}
    (artifact,) = client.run("search", "--artifacts", "-o", "json", "-n", "greet").json()["artifacts"]
    assert artifact["runtime"]["name"] == "greet"
    client.run("search", "--installed", "--artifacts", status=1)


def test_query(client: Client) -> None:
    install(client, "app/greeter")
    assert client.run("query", "files", "--installed", "lib/greet", "-o", "json").json() == [
        f"{client.root}/usr/lib/libgreet.so{end}" for end in ("", ".1", ".1.0")
    ]
    assert "usr/include/greet.h" in client.run("q", "f", "lib/greet").out
    assert client.run("query", "belongs", "--installed", "/usr/bin/gr").out.split() == ["app/greeter-1.0"]
    assert client.run("query", "orphans").out == ""
    client.repository("ref", enable=False)
    assert client.run("query", "orphans", "--quiet").out.split() == ["app/greeter", "lib/greet"]
    assert "[unknown-target]" in client.run("query", "files", "none", status=1).err


def test_repositories(client: Client) -> None:
    client.repository("other", description="The other", enable=False, type="http", urls=["http://127.0.0.1:1/"])
    assert client.run("repo", "list", "-q").out.split() == ["other", "ref"]
    assert client.run("repo", "list", "-q", "--enabled").out.split() == ["ref"]
    assert client.run("repo", "list", "-q", "--type", "http").out.split() == ["other"]
    assert "Revision:   1" in client.run("repo", "up").out
    assert "Revision     1 - 20" in client.run("repo", "list", "--urls").out
    client.run("repo", "enable", "other")
    assert client.run("repo", "list", "-q", "--enabled").out.split() == ["other", "ref"]
    client.run("repo", "disable", "other")
    assert "[unknown-repository]" in client.run("repo", "update", "othr", status=1).err


def test_a_repository_that_cannot_be_reached(client: Client) -> None:
    client.repository("ref", type="http", urls=["http://127.0.0.1:1/"])
    assert "[not-synced]" in install(client, "lib/greet", status=1).err
    (client.folder / "repos/ref.yml").unlink()
    client.repository("gone", urls=[str(client.folder / "gone")])
    assert "[no-wagon]" in client.run("repo", "update", status=1).err
    client.run("repo", "update", "--ignore-errors")


def test_subsets(client: Client) -> None:
    install(client, "lib/greet")
    header = client.root / "usr/include/greet.h"
    assert "Subsets devel enabled" in client.run("subsets", "enable", "devel", "-f", "mine").out
    assert client.run("subsets", "list", "-q").out.split() == ["devel"]
    assert "Needed for compilation" in client.run("subsets", "list").out
    assert not header.exists()
    assert "[R] lib/greet" in client.run("subsets", "apply", "-y").out
    assert header.is_file()
    assert "fit the enabled subsets" in client.run("subsets", "apply", "-y").out
    client.run("subsets", "disable", "devel", "-f", "mine")
    client.run("miner", "ri", "lib/greet")
    assert not header.exists()


def test_upgrade(client: Client) -> None:
    install(client, "lib/greet")
    assert "The system is updated." in client.run("upgrade", "-y").out
    client.run("database", "remove", "lib/greet")
    metadata = yaml.safe_load((WAGONS / "go" / "greet-lib-1.0.metadata.yaml").read_text())
    metadata["runtime"]["version"] = "0.9"
    (client.folder / "old.yaml").write_text(yaml.safe_dump(metadata))
    assert "lib/greet-0.9 created" in client.run("database", "create", "old.yaml").out
    assert "[already-registered]" in client.run("database", "create", "old.yaml", status=1).err
    shown = client.run("u", "-y").out
    assert "[U] lib/greet::ref" in shown and "1.0 [0.9]" in shown
    assert client.installed() == ["lib/greet-1.0"]


def test_masks(client: Client) -> None:
    (client.folder / "masks").mkdir()
    (client.folder / "masks/a.yml").write_text("enabled: true\nrules: ['lib/greet::ref']\n")
    assert "[masked-target]" in install(client, "lib/greet", status=1).err
    assert "lib/greet" not in client.run("search").out
    install(client, "--ignore-masks", "lib/greet")


def test_miner(client: Client) -> None:
    client.run("miner", "download", "ref", "lib/greet")
    assert (client.root / "var/cache/luet/packages/greet-lib-1.0.package.tar.zst").is_file()
    client.run("miner", "install-package", "ref", "app/greeter", "--skip-finalizers")
    assert client.installed() == ["app/greeter-1.0"], "without what it needs"
    client.run("miner", "remove-package", "app/greeter")
    assert client.installed() == []
    assert "1 package" in client.run("cleanup", "--purge-repos").out
    assert not (client.root / "var/cache/luet/packages/greet-lib-1.0.package.tar.zst").exists()
    client.run("reinstall", "lib/greet", status=1)


def test_database(client: Client) -> None:
    install(client, "app/greeter")
    data = yaml.safe_load(client.run("database", "get", "lib/greet").out)
    assert (data["name"], data["repository"]) == ("greet", "ref")
    assert "usr/lib/libgreet.so" in client.run("database", "get", "--files", "lib/greet").out
    client.run("database", "reindex")
    before = client.run("search", "--installed", "--full", "--files", "-o", "json").out
    for left in (client.root / "var/cache/luet").glob("anise.sqlite*"):
        left.unlink()
    assert client.installed() == []
    assert "app/greeter-1.0" in client.run("database", "adopt").out
    assert client.run("search", "--installed", "--full", "--files", "-o", "json").out == before
    (client.root / "var/cache/luet/anise.sqlite").write_bytes(b"damaged" * 500)
    assert "[bad-database]" in client.run("database", "reindex", status=1).err
    (client.root / "var/cache/luet/anise.sqlite").unlink()
    (client.folder / "stones.json").write_text(before)
    client.run("database", "adopt", "--stones", "stones.json")
    assert client.installed() == ["app/greeter-1.0", "lib/greet-1.0"]


def test_config(client: Client) -> None:
    shown = yaml.safe_load(client.run("config", LUET_GENERAL__CONCURRENCY="7").out)
    assert shown["system"]["rootfs"] == str(client.root)
    assert shown["general"]["concurrency"] == 7
    assert shown["repositories"][0]["name"] == "ref"
    assert "[unreadable-config]" in client.run("--config", "none.yaml", "config", status=1).err


def test_flags_may_stand_before_and_behind_the_command(client: Client) -> None:
    other = str(client.folder / "other")
    client.run("--system-target", other, "i", "-y", "lib/greet")
    assert client.run("s", "--installed", "--system-target", other).out.split() == ["lib/greet-1.0"]
    assert client.installed() == []


@pytest.mark.parametrize("words", [("install",), ("instal", "x"), ("repo", "lst"), ("install", "--none")])
def test_wrong_usage_ends_as_the_go_client_does(client: Client, words: tuple[str, ...]) -> None:
    client.run(*words, status=255)


def test_another_client_at_work(client: Client) -> None:
    import fcntl

    (client.root / "var/lock").mkdir(parents=True)
    with open(client.root / "var/lock/luet.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "[locked]" in install(client, "lib/greet", status=1).err
        install(client, "lib/greet", LUET_NOLOCK="true")
    assert json.loads(client.run("search", "--installed", "-o", "json").out)["stones"][0]["name"] == "greet"


def test_box(client: Client, busybox_tar: Path) -> None:
    subprocess.run(["tar", "-xf", busybox_tar, "-C", client.root], check=True)
    (client.folder / "shared").mkdir()
    (client.folder / "shared/file").write_text("from the host")
    script = f"cat {client.folder}/shared/file; echo $A; exit 3"
    given = ("--rootfs", str(client.root), "-e", "A=b", "-m", str(client.folder / "shared"))
    ran = client.run("box", "exec", *given, "--", "-c", script, status=3)
    assert ran.out == "from the hostb\n"
