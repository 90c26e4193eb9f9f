# SPDX-License-Identifier: GPL-3.0-or-later
"""Syncing repositories of every type, and what is refused."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import os
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest
from client_wagons import Server, entry, publish, served

from farm.client import transport
from farm.client.config import ClientConfig, RepositoryConfig
from farm.client.repositories import Synced, known_identity, open_catalog, open_repository, purge, sync, sync_all
from farm.client.switch import disable_subsets, enable_subsets, switch_repository
from farm.spec.problem import FarmError
from farm.store.signature import SecretKey, sign

KEY = SecretKey(bytes(8), bytes(range(32)))


def config_of(path: Path, *repositories: RepositoryConfig) -> ClientConfig:
    database = path / "root/var/cache/luet"
    return ClientConfig(
        path / "root", database, database / "packages", path / "tmp", repositories=repositories, concurrency=4
    )


def remote(server: Server, **more: object) -> RepositoryConfig:
    made = RepositoryConfig("main", type="http", enable=True, urls=(f"{server.url}/",))
    return dataclasses.replace(made, **more)  # type: ignore[arg-type]


def versions(config: ClientConfig) -> list[str]:
    return [str(one.id) for one in open_catalog(config).candidates]


def put(folder: Path, revision: int, names: Sequence[str] = ("x",)) -> bytes:
    return publish(folder, revision, [entry(f"a/{name}-{revision}") for name in names])


def refused(config: ClientConfig, **options: bool) -> str:
    """The code with which a sync ends; what was there before must be there still."""
    before = sorted(path.name for path in (config.repositories_path / "main").glob("[!.]*"))
    seen = known_identity(config, config.repositories[0])
    with pytest.raises(FarmError) as caught:
        sync(config, config.repositories[0], **options)
    assert sorted(path.name for path in (config.repositories_path / "main").glob("[!.]*")) == before
    assert not list((config.repositories_path / "main").glob(".new-*"))
    assert known_identity(config, config.repositories[0]) == seen
    return caught.value.code


def test_sync(tmp_path: Path) -> None:
    put(tmp_path / "wagon", 1)
    with served(tmp_path / "wagon") as server:
        config = config_of(tmp_path, remote(server))
        with pytest.raises(FarmError) as caught:
            open_catalog(config)
        assert caught.value.code == "not-synced"
        assert known_identity(config, config.repositories[0]) is None
        first = sync(config, config.repositories[0])
        assert (first.changed, first.identity.revision, first.packages) == (True, 1, 1)
        server.asked.clear()
        assert not sync(config, config.repositories[0]).changed
        assert server.asked == ["/repository.yaml"], "nothing else is fetched when it is the same revision"
        put(tmp_path / "wagon", 2)
        assert sync(config, config.repositories[0]).changed
        assert versions(config) == ["a/x-2"]
        assert len(list((config.repositories_path / "main").glob("at-*"))) == 1
        assert sync(config, config.repositories[0], force=True).changed
    purge(config)
    assert known_identity(config, config.repositories[0]) is None


def test_an_older_revision_is_refused(tmp_path: Path) -> None:
    put(tmp_path / "wagon", 3)
    with served(tmp_path / "wagon") as server:
        config = config_of(tmp_path, remote(server))
        sync(config, config.repositories[0])
        put(tmp_path / "wagon", 2)
        assert refused(config) == "replayed-repository"
        assert versions(config) == ["a/x-3"]
        assert sync(config, config.repositories[0], force=True).identity.revision == 2


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        (lambda folder: (folder / "tree-2.tar.zst").write_bytes(b"other"), "wagon-digest-mismatch"),
        (lambda folder: os.truncate(folder / "tree-2.tar.zst", 20), "wagon-digest-mismatch"),
        (lambda folder: (folder / "tree-2.tar.zst").unlink(), "wagon-file-missing"),
        (lambda folder: (folder / "repository.yaml").write_text("name: [main"), None),
        (lambda folder: (folder / "repository.yaml").write_text("name: main\nrevision: 9\n"), "bad-repository"),
        (lambda folder: (folder / "repository.yaml").unlink(), "download-failed"),
    ],
)  # fmt: skip
def test_damage_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: object, code: str | None) -> None:
    monkeypatch.setattr("farm.client.repositories._PAUSE", 0.0)
    put(tmp_path / "wagon", 1)
    with served(tmp_path / "wagon") as server:
        config = config_of(tmp_path, remote(server))
        sync(config, config.repositories[0])
        put(tmp_path / "wagon", 2)
        damage(tmp_path / "wagon")  # type: ignore[operator]
        assert refused(config) == (code or refused(config))
        assert versions(config) == ["a/x-1"]


def test_a_damaged_copy_is_fetched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("farm.client.repositories._PAUSE", 0.0)
    put(tmp_path / "wagon", 1)
    with served(tmp_path / "wagon") as server:
        config = config_of(tmp_path, remote(server))
        sync(config, config.repositories[0])
        (config.repositories_path / "main/current/tree-1.tar.zst").write_bytes(b"")
        assert sync(config, config.repositories[0]).changed
        assert versions(config) == ["a/x-1"]


def test_failures_that_pass_are_tried_again_and_other_urls_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "_FIRST_DELAY", 0.001)
    put(tmp_path / "wagon", 1)
    with served(tmp_path / "wagon") as server, served(tmp_path / "empty") as empty:
        server.failures = [503, 500]
        config = config_of(tmp_path, remote(server))
        assert sync(config, config.repositories[0]).changed
        both = remote(server, name="both", urls=(empty.url, f"{server.url}/"))
        assert sync(config, both).changed
        server.failures = [404] * 9
        assert refused(config) == "download-failed"
        assert len(server.failures) == 8, "what will not pass is not tried again"


def test_authorization(tmp_path: Path) -> None:
    put(tmp_path / "wagon", 1)
    with served(tmp_path / "wagon") as server:
        sync(config_of(tmp_path), remote(server, auth={"token": "t"}))
        assert {headers.get("Authorization") for headers in server.headers} == {"token t"}
        sync(config_of(tmp_path), remote(server, name="other", auth={"basic": "dTpw"}))
        assert server.headers[-1]["Authorization"] == "Basic dTpw"


def test_a_plus_in_a_name_is_encoded(tmp_path: Path) -> None:
    text = put(tmp_path / "wagon", 1).replace(b"tree-1.tar.zst", b"tree+1.tar.zst")
    (tmp_path / "wagon/repository.yaml").write_bytes(text)
    (tmp_path / "wagon/tree-1.tar.zst").rename(tmp_path / "wagon/tree+1.tar.zst")
    with served(tmp_path / "wagon") as server:
        sync(config_of(tmp_path), remote(server))
        assert "/tree%2B1.tar.zst" in server.asked


def test_signatures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("farm.client.repositories._PAUSE", 0.0)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    text = put(tmp_path / "wagon", 1)
    signature = tmp_path / "wagon/repository.yaml.minisig"
    with served(tmp_path / "wagon") as server:
        config = config_of(tmp_path, remote(server, key=KEY.public.text))
        assert refused(config) == "no-signature"
        signature.write_bytes(sign(text, KEY, "revision 1"))
        assert sync(config, config.repositories[0]).changed
        signature.write_bytes(sign(text, SecretKey(bytes(8), bytes(32)), "revision 1"))
        assert refused(config) == "bad-signature"
        signature.write_bytes(sign(text, SecretKey(b"x" * 8, bytes(32)), "revision 1"))
        assert refused(config) == "untrusted-key"
        trusting = config_of(tmp_path, remote(server, verify=True))
        signature.write_bytes(sign(text, KEY, "revision 1"))
        assert refused(trusting) == "untrusted-key"
        (tmp_path / "config/farm/trusted-keys").mkdir(parents=True)
        (tmp_path / "config/farm/trusted-keys/main.pub").write_text(KEY.public.text + "\n")
        assert not sync(trusting, trusting.repositories[0]).changed


def test_a_disk_is_read_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("farm.client.repositories._PAUSE", 0.0)
    wagon = tmp_path / "wagon"
    repository = RepositoryConfig("main", type="disk", enable=True, urls=(str(tmp_path / "none"), str(wagon)))
    config = config_of(tmp_path, repository)
    with pytest.raises(FarmError) as caught:
        open_catalog(config)
    assert caught.value.code == "no-wagon"
    put(wagon, 5)
    assert versions(config) == ["a/x-5"], "without a sync"
    assert sync(config, repository).packages == 1
    assert [path.name for path in (config.repositories_path / "main/current").iterdir()] == ["repository.yaml"]
    put(wagon, 6)
    assert versions(config) == ["a/x-6"]
    put(wagon, 4)
    assert refused(config) == "replayed-repository"
    with pytest.raises(FarmError) as caught:
        open_repository(config, repository)
    assert caught.value.code == "replayed-repository"


def test_one_that_is_not_kept_is_synced_when_it_is_used(tmp_path: Path) -> None:
    put(tmp_path / "wagon", 1)
    with served(tmp_path / "wagon") as server:
        config = config_of(tmp_path, remote(server, cached=False))
        assert versions(config) == ["a/x-1"]


def test_several_at_once_with_one_that_fails(tmp_path: Path) -> None:
    put(tmp_path / "wagon", 1)
    with served(tmp_path / "wagon") as server:
        good = [remote(server, name=f"r{n}") for n in range(5)]
        config = config_of(tmp_path, *good)
        done: list[str] = []
        bad = remote(server, name="bad", urls=(f"{server.url}/nowhere",))
        results = sync_all(config, [*good, bad], done=lambda repository, result: done.append(repository.name))
        assert [isinstance(result, Synced) for result in results] == [True] * 5 + [False]
        assert sorted(done) == ["bad", "r0", "r1", "r2", "r3", "r4"]


def test_killed_syncs_leave_the_old_or_the_new(tmp_path: Path) -> None:
    put(tmp_path / "wagon", 1)
    with served(tmp_path / "wagon") as server:
        config = config_of(tmp_path, remote(server))
        sync(config, config.repositories[0])
        for revision in range(2, 12):
            put(tmp_path / "wagon", revision)
            pid = os.fork()
            if pid == 0:
                signal.setitimer(signal.ITIMER_REAL, revision * 0.001)
                signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
                try:
                    sync(config, config.repositories[0])
                finally:
                    os._exit(0)
            os.waitpid(pid, 0)
            assert versions(config)[0] == f"a/x-{known_identity(config, config.repositories[0]).revision}"  # type: ignore[union-attr]
        sync(config, config.repositories[0], force=True)
        assert versions(config) == ["a/x-11"]
        assert not list((config.repositories_path / "main").glob(".new-*"))


def test_nobody_sees_a_mixture(tmp_path: Path) -> None:
    """Clients sync and read in a loop while a wagon is bumped; the trees of old revisions go soon."""
    names = ("x", "y", "z")
    put(tmp_path / "wagon", 1, names)
    disk = RepositoryConfig("disk", type="disk", enable=True, urls=(str(tmp_path / "wagon"),))
    running = True

    def follow(number: int, server: Server) -> int:
        config = config_of(tmp_path / str(number), remote(server), disk)
        rounds = 0
        while running or not rounds:
            sync(config, config.repositories[0])
            for repository in config.repositories:
                seen = {package.version for package in open_repository(config, repository).packages}
                assert len(seen) == 1
            rounds += 1
        return rounds

    with served(tmp_path / "wagon") as server, concurrent.futures.ThreadPoolExecutor(8) as pool:
        clients = [pool.submit(follow, number, server) for number in range(8)]
        try:
            for revision in range(2, 52):
                put(tmp_path / "wagon", revision, names)
                (tmp_path / f"wagon/tree-{revision - 1}.tar.zst").unlink()
        finally:
            running = False
        assert min(client.result() for client in clients) > 0


def test_switching_keeps_the_rest_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "main.yml"
    file.write_text("# ours\nname: main # the name\nenable: false   # for now\nurls: [http://h/]\n")
    file.chmod(0o640)
    switch_repository(RepositoryConfig("main", file=str(file)), True)
    assert file.read_text() == "# ours\nname: main # the name\nenable: true   # for now\nurls: [http://h/]\n"
    assert file.stat().st_mode & 0o777 == 0o640
    file.write_text("name: main")
    switch_repository(RepositoryConfig("main", file=str(file)), False)
    assert file.read_text() == "name: main\nenable: false\n"
    with pytest.raises(FarmError) as caught:
        switch_repository(RepositoryConfig("main"), True)
    assert caught.value.code == "inline-repository"


def test_subsets_files(tmp_path: Path) -> None:
    config = dataclasses.replace(config_of(tmp_path), subsets_dirs=(tmp_path / "subsets",))
    assert enable_subsets(config, ["devel", "doc"]) == ["devel", "doc"]
    assert enable_subsets(config, ["devel"], "mine") == ["devel"]
    assert enable_subsets(config, ["devel"]) == []
    assert disable_subsets(config, ["doc", "none"]) == ["doc"]
    assert sorted(path.name for path in (tmp_path / "subsets").iterdir()) == ["main.yml", "mine.yml"]
    with pytest.raises(FarmError) as caught:
        enable_subsets(config, ["devel"], "../mine")
    assert caught.value.code == "bad-file-name"


def test_a_busy_folder_name_does_no_harm(tmp_path: Path) -> None:
    put(tmp_path / "wagon", 1)
    with served(tmp_path / "wagon") as server:
        config = config_of(tmp_path, remote(server))
        (config.repositories_path / "main/.new-left").mkdir(parents=True)
        (config.repositories_path / "main/treefs/app").mkdir(parents=True)
        sync(config, config.repositories[0])
        assert (config.repositories_path / "main/treefs").is_dir(), "what the Go client has is left to it"
    shutil.rmtree(tmp_path / "wagon")
