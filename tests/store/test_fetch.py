# SPDX-License-Identifier: GPL-3.0-or-later
"""Sources come from the first place that has them as they should be, whatever the others do."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fileserver
import pytest
from fileserver import FileServer, cut, in_turn, no_ranges, status, whole

from farm.plan.job import Fetch
from farm.spec.problem import FarmError
from farm.store import apt
from farm.store import fetch as fetching
from farm.store.fetch import fetch
from farm.store.store import Store

BODY = bytes(range(256)) * 4000
SHA256 = hashlib.sha256(BODY).hexdigest()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(fetching, "_FIRST_DELAY", 0.01)
    with fileserver.serving() as files:
        yield files


def bring(store: Store, *urls: str, sha256: str = SHA256, size: int | None = None, log: Path | None = None) -> str:
    return fetch(Fetch(sha256, urls, size), store, log, threading.Event())


def failure(store: Store, *urls: str, **options: str) -> FarmError:
    with pytest.raises(FarmError) as caught:
        bring(store, *urls, **options)  # type: ignore[arg-type]
    return caught.value


def test_whole_file(store: Store, server: FileServer, tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert bring(store, server.put("/a", whole(BODY)), size=len(BODY), log=log) == SHA256
    assert store.blob_path(SHA256).read_bytes() == BODY
    assert server.base in log.read_text()
    assert list((store.root / "partial").iterdir()) == []


def test_what_is_there_is_not_asked_for(store: Store, server: FileServer) -> None:
    store.put_blob(BODY)
    bring(store, server.put("/a", whole(BODY)))
    assert server.asked == []


def test_redirect(store: Store, server: FileServer) -> None:
    server.put("/there", whole(BODY))
    bring(store, server.put("/here", status(302, "/there")))
    assert [path for path, _ in server.asked] == ["/here", "/there"]


def test_next_mirror_when_one_has_it_not(store: Store, server: FileServer) -> None:
    bring(store, server.put("/a", status(404)), server.put("/b", whole(BODY)))
    assert [path for path, _ in server.asked] == ["/a", "/b"]


def test_next_mirror_when_one_has_another_file(store: Store, server: FileServer) -> None:
    bring(store, server.put("/a", whole(BODY + b"!")), server.put("/b", whole(BODY)))
    assert [path for path, _ in server.asked] == ["/a", "/b"]


def test_broken_connection_is_continued(store: Store, server: FileServer) -> None:
    bring(store, server.put("/a", in_turn(cut(BODY, 5000), whole(BODY))))
    assert server.asked == [("/a", None), ("/a", "bytes=5000-")]


def test_broken_download_is_continued_at_the_mirror(store: Store, server: FileServer) -> None:
    bring(store, server.put("/a", cut(BODY, 5000)), server.put("/b", whole(BODY)))
    assert server.asked == [("/a", None), ("/b", "bytes=5000-")]


def test_server_without_ranges(store: Store, server: FileServer) -> None:
    bring(store, server.put("/a", in_turn(cut(BODY, 5000), no_ranges(BODY))))
    assert store.has_blob(SHA256)


def test_wrong_beginning_is_thrown_away(store: Store, server: FileServer) -> None:
    wrong = b"x" * 5000 + BODY[5000:]
    bring(store, server.put("/a", in_turn(cut(wrong, 5000), whole(BODY))))
    assert [asked for _, asked in server.asked] == [None, "bytes=5000-", None]


def test_part_that_is_longer_than_the_file(store: Store, server: FileServer) -> None:
    (store.root / "partial").mkdir()
    (store.root / "partial" / SHA256).write_bytes(BODY + b"more")
    bring(store, server.put("/a", in_turn(status(416), whole(BODY))))
    assert [asked for _, asked in server.asked] == [f"bytes={len(BODY) + 4}-", None]


def test_passing_faults_are_tried_again(store: Store, server: FileServer) -> None:
    bring(store, server.put("/a", in_turn(status(503), status(500), whole(BODY))))
    assert len(server.asked) == 3


def test_lasting_faults_are_not(store: Store, server: FileServer) -> None:
    found = failure(store, server.put("/a", status(404)), server.put("/b", status(403)))
    assert (found.code, found.transient) == ("source-unavailable", False)
    assert len(server.asked) == 2
    assert all(word in found.problems[0].message for word in ("/a", "404", "/b", "403"))


def test_passing_faults_at_the_end_are_transient(store: Store, server: FileServer) -> None:
    found = failure(store, server.put("/a", status(503)))
    assert (found.code, found.transient) == ("source-unavailable", True)


def test_wrong_digest(store: Store, server: FileServer) -> None:
    found = failure(store, server.put("/a", whole(b"another")), server.put("/b", status(404)))
    assert (found.code, found.transient) == ("source-digest-mismatch", False)
    assert len(server.asked) == 2
    assert list((store.root / "partial").iterdir()) == []


def test_wrong_size(store: Store, server: FileServer) -> None:
    with pytest.raises(FarmError) as caught:
        bring(store, server.put("/a", whole(BODY)), size=7)
    assert caught.value.code == "source-digest-mismatch"


def test_nobody_listens(store: Store, server: FileServer) -> None:
    bring(store, "http://127.0.0.1:1/a", server.put("/b", whole(BODY)))
    assert store.has_blob(SHA256)


def test_file_url(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "with space"
    path.write_bytes(BODY)
    assert bring(store, path.as_uri()) == SHA256
    assert path.exists()


def test_file_url_of_nothing(store: Store, tmp_path: Path) -> None:
    assert failure(store, (tmp_path / "no").as_uri()).code == "source-unavailable"


@pytest.mark.parametrize("urls", [(), ("gopher://127.0.0.1/a",), ("nonsense",)])
def test_no_usable_url(store: Store, urls: tuple[str, ...]) -> None:
    assert failure(store, *urls).code == "source-unavailable"


def test_apt_tries_all_archives_of_the_host(store: Store, server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    if not apt.HELPER.exists():
        pytest.skip("needs apt")
    server.put("/second/pool/m/x.tar", whole(BODY))
    monkeypatch.setattr(apt, "mirrors", lambda: (server.base + "/first", server.base + "/second"))
    assert bring(store, "apt:pool/m/x.tar") == SHA256
    assert [path for path, _ in server.asked] == ["/first/pool/m/x.tar", "/second/pool/m/x.tar"]


def test_apt_without_archives(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apt, "mirrors", lambda: ())
    assert failure(store, "apt:pool/m/x.tar").code == "source-unavailable"


def test_many_at_once_ask_once(store: Store, server: FileServer) -> None:
    url = server.put("/a", whole(BODY))
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: bring(store, url), range(8))) == {SHA256}
    assert len(server.asked) == 1


def test_cancel_does_not_wait_for_a_silent_server(store: Store, server: FileServer) -> None:
    begun, release, cancel = threading.Event(), threading.Event(), threading.Event()
    url = server.put("/a", fileserver.stalled(begun, release))
    threading.Thread(target=lambda: begun.wait(10) and cancel.set()).start()
    start = time.monotonic()
    try:
        with pytest.raises(FarmError) as caught:
            fetch(Fetch(SHA256, (url,)), store, None, cancel)
    finally:
        release.set()
    assert caught.value.code == "cancelled"
    assert time.monotonic() - start < 5
    for thread in threading.enumerate():
        if thread.name == "fetch":
            thread.join(10)


def test_cancel_while_another_fetches(store: Store) -> None:
    cancel = threading.Event()
    cancel.set()
    with store.lock(f"fetch-{SHA256}"), pytest.raises(FarmError) as caught:
        fetch(Fetch(SHA256, ("file:///nowhere",)), store, None, cancel)
    assert caught.value.code == "cancelled"
