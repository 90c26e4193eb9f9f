# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients that sync while the wagon is bumped see the old wagon or the new one, whole."""

from __future__ import annotations

import hashlib
import http.client
import io
import threading
import urllib.parse
from pathlib import Path

import pytest
from workshop import Workshop, running_server

from farm.spec.load import load
from farm.store.signature import SecretKey, verify
from farm.wagon.create import Request, create_wagon
from farm.wagon.reading import Wagon

KEY = SecretKey(b"12345678", bytes(range(32)))


class Clients:
    """Clients that sync and fetch in a loop, by HTTP or from the folder, until told to stop."""

    def __init__(self, count: int, url: str, folder: Path, pause: float) -> None:
        self.pause = pause
        self.stop = threading.Event()
        self.failures: list[str] = []
        self.seen: set[int] = set()
        self.syncs = 0
        self.address = urllib.parse.urlsplit(url)
        self.folder = folder
        self.threads = [threading.Thread(target=self._run, args=(number,)) for number in range(count)]
        for thread in self.threads:
            thread.start()

    def end(self) -> None:
        """Stops all of them."""
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def _run(self, number: int) -> None:
        connection = http.client.HTTPConnection(str(self.address.hostname), self.address.port, timeout=60)
        try:
            while not self.stop.is_set():
                self._sync(connection if number % 4 else None)
                self.stop.wait(self.pause)
        except Exception as failure:  # noqa: BLE001 - every failure is a finding
            self.failures.append(repr(failure))
        finally:
            connection.close()

    def _sync(self, connection: http.client.HTTPConnection | None) -> None:
        def read(name: str) -> bytes:
            if connection is None:
                return (self.folder / name).read_bytes()
            connection.request("GET", f"/{name}")
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != 200:
                raise FileNotFoundError(f"{answer.status} {name}")
            return body

        content = read("repository.yaml")
        wagon = Wagon.parse(content, lambda name: io.BytesIO(read(name)))
        revision = wagon.repository.revision
        verify(content, read(f"revisions/{revision}.yaml.minisig"), [KEY.public])
        marks = {entry.metadata.runtime["description"] for entry in wagon.packages.values()}
        assert marks == {wagon.repository.description}, f"a mixture: {marks}"
        for entry in wagon.packages.values():
            assert hashlib.sha256(read(entry.metadata.path)).hexdigest() == entry.metadata.sha256
        self.seen.add(revision)
        self.syncs += 1


def bump_while_clients_sync(workshop: Workshop, clients: int, bumps: int, pause: float = 0) -> Clients:
    """Each bump changes every package's metadata, and one package's bytes."""

    def bump(number: int) -> None:
        mark = f"mark {number}"
        for name in ("lib/greet", "app/greeter", "app/editor"):
            workshop.define(name, description=mark)
        workshop.build("lib/greet", files={"usr/bin/greet": mark})
        tree = load([workshop.tree])
        request = Request(tree, workshop.packages, workshop.output, name="test", description=mark, key=KEY)
        create_wagon(request)

    bump(0)
    with running_server(workshop.output) as server:
        running = Clients(clients, server.url, workshop.output, pause)
        try:
            for number in range(1, bumps + 1):
                bump(number)
        finally:
            running.end()
    return running


def test_twenty_clients_and_fifty_bumps(workshop: Workshop) -> None:
    done = bump_while_clients_sync(workshop, 20, 50, pause=0.05)
    assert done.failures == []
    assert len(done.seen) > 10
    assert workshop.wagon().repository.revision == 51


@pytest.mark.slow
def test_a_hundred_clients_and_fifty_bumps(workshop: Workshop) -> None:
    done = bump_while_clients_sync(workshop, 100, 50)
    assert done.failures == []
    assert done.syncs > 100
    assert workshop.wagon().repository.revision == 51
