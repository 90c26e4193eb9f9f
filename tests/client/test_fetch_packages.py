# SPDX-License-Identifier: GPL-3.0-or-later
"""Downloading packages: the cache, what is continued, and what is refused."""

from __future__ import annotations

import dataclasses
import functools
import http.server
import os
import socketserver
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from transaction_bench import Bench

from farm.client.change import Candidate
from farm.client.fetch import fetch_packages, forget_packages
from farm.spec.problem import FarmError


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        self.asked: list[tuple[str, str]] = []
        self.broken = 0
        self.silent = threading.Event()
        super().__init__(("127.0.0.1", 0), functools.partial(_Handler, directory=str(folder)))


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Knows ranges; the first ``broken`` answers end in the middle."""

    server: _Server

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers.get("Range", "")))
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            self.send_error(404)
            return
        content = path.read_bytes()
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        part = content[start:]
        if self.server.broken:
            self.server.broken -= 1
            part = part[: len(part) // 2]
        self.wfile.write(part)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[_Server]:
    (tmp_path / "wagon").mkdir()
    with _Server(tmp_path / "wagon") as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.01,))
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.fixture
def bench(tmp_path: Path, server: _Server) -> Iterator[Bench]:
    made = Bench(tmp_path, multifetch=4)
    url = f"http://127.0.0.1:{server.server_address[1]}"
    made.repository = dataclasses.replace(made.repository, type="http", urls=(f"{url}/none", url))
    yield made
    made.close()


def package(bench: Bench, name: str = "a", version: str = "1.0") -> Candidate:
    content = os.urandom(100_000)
    return bench.package(name, [], version, content=content)


def fetch(bench: Bench, *packages: Candidate, **options: bool) -> list[Path]:
    return list(fetch_packages(packages, bench.config, report=bench.told.append, **options).values())


def test_once(bench: Bench, server: _Server) -> None:
    packages = [package(bench, f"p{n}") for n in range(8)]
    found = fetch(bench, *packages)
    assert [path.read_bytes() for path in found] == [
        (bench.wagon / one.entry.metadata.path).read_bytes() for one in packages
    ]
    server.asked.clear()
    assert fetch(bench, *packages) == found
    assert server.asked == []
    assert (bench.config.packages_cache / packages[0].entry.metadata.path).samefile(found[0])
    assert forget_packages(bench.config)[0] == 8
    assert fetch(bench, packages[0]) == found[:1] and server.asked


def test_a_broken_download_is_continued(bench: Bench, server: _Server) -> None:
    one = package(bench)
    server.broken = 2
    fetch(bench, one)
    ranges = [asked for path, asked in server.asked if path == f"/{one.entry.metadata.path}"]
    assert ranges == ["", "bytes=50000-", "bytes=75000-"]


def test_what_a_dead_process_left_is_continued_or_thrown_away(bench: Bench, server: _Server) -> None:
    one = package(bench)
    part = bench.config.packages_cache / "sha256" / f"{one.entry.metadata.sha256}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes((bench.wagon / one.entry.metadata.path).read_bytes()[:1000])
    fetch(bench, one)
    assert ("/" + one.entry.metadata.path, "bytes=1000-") in server.asked
    forget_packages(bench.config)
    part.write_bytes(b"wrong" * 200)
    fetch(bench, one)
    assert not part.exists()


def test_the_same_name_with_other_bytes_is_another_package(bench: Bench) -> None:
    old = package(bench)
    before = fetch(bench, old)
    new = package(bench)
    after = fetch(bench, new)
    assert before != after and before[0].exists()
    assert (bench.config.packages_cache / new.entry.metadata.path).samefile(after[0])


def test_what_anise_left_in_its_cache_is_used(bench: Bench, server: _Server) -> None:
    one = package(bench)
    bench.config.packages_cache.mkdir(parents=True)
    name = one.entry.metadata.path
    (bench.config.packages_cache / name).write_bytes((bench.wagon / name).read_bytes())
    fetch(bench, one)
    assert server.asked == []
    (bench.config.packages_cache / name).write_bytes(b"damaged")
    (bench.config.packages_cache / "sha256" / one.entry.metadata.sha256).unlink()
    fetch(bench, one)
    assert server.asked


def test_wrong_bytes_are_refused(bench: Bench) -> None:
    one = package(bench)
    (bench.wagon / one.entry.metadata.path).write_bytes(b"replaced")
    with pytest.raises(FarmError) as caught:
        fetch(bench, one, package(bench, "b"))
    assert caught.value.code == "package-digest-mismatch"
    assert not (bench.config.packages_cache / "sha256" / one.entry.metadata.sha256).exists()


def test_what_is_nowhere(bench: Bench) -> None:
    one = package(bench)
    (bench.wagon / one.entry.metadata.path).unlink()
    begun = time.monotonic()
    with pytest.raises(FarmError) as caught:
        fetch(bench, one)
    assert caught.value.code == "download-failed"
    assert time.monotonic() - begun < 5, "404 does not pass: nothing is tried again"


def test_disk_repositories_are_used_in_place(bench: Bench, tmp_path: Path) -> None:
    bench.repository = dataclasses.replace(bench.repository, type="disk", urls=(str(bench.wagon),))
    one = package(bench)
    assert fetch(bench, one) == [bench.wagon / one.entry.metadata.path]
    kept = fetch(bench, one, keep=True)
    assert kept[0].is_relative_to(bench.config.packages_cache)
