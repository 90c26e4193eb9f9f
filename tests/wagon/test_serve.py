# SPDX-License-Identifier: GPL-3.0-or-later
"""Serving a wagon over HTTP."""

from __future__ import annotations

import http.client
import socket
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest
from workshop import Workshop, digest, running_server

from farm.spec.problem import FarmError
from farm.wagon.ranges import parse_range
from farm.wagon.reading import Wagon
from farm.wagon.serve import WagonServer

PACKAGE = "greet-lib-1.0.package.tar.zst"


@pytest.fixture
def server(workshop: Workshop) -> Iterator[WagonServer]:
    """A server that is running."""
    workshop.create(description="Say <b>hello</b>")
    with running_server(workshop.output) as made:
        yield made


class Client:
    """One connection, kept."""

    def __init__(self, server: WagonServer) -> None:
        address = urllib.parse.urlsplit(server.url)
        assert address.hostname == "127.0.0.1"
        self.connection = http.client.HTTPConnection(address.hostname, address.port, timeout=10)

    def get(self, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
        """Status, headers (names in lower case), body."""
        fields = {key.replace("_", "-"): value for key, value in headers.items()}
        self.connection.request(method, path, headers=fields)
        answer = self.connection.getresponse()
        return answer.status, {key.lower(): value for key, value in answer.getheaders()}, answer.read()


@pytest.fixture
def client(server: WagonServer) -> Iterator[Client]:
    """A client of the server."""
    made = Client(server)
    yield made
    made.connection.close()


def test_a_wagon_is_read_through_it(server: WagonServer, client: Client, workshop: Workshop) -> None:
    import io

    status, headers, content = client.get("/repository.yaml")
    assert (status, headers["cache-control"]) == (200, "no-cache")
    wagon = Wagon.parse(content, lambda name: io.BytesIO(client.get(f"/{name}")[2]))
    assert len(wagon.packages) == 3
    for entry in wagon.packages.values():
        assert digest(client.get(f"/{entry.metadata.path}")[2]) == entry.metadata.sha256
    tree = wagon.repository.repo_files["treev2"].filename
    assert "immutable" in client.get(f"/{tree}")[1]["cache-control"]
    assert client.get("/revisions/1.yaml")[2] == content


def test_head_has_no_body(client: Client, workshop: Workshop) -> None:
    status, headers, body = client.get(f"/{PACKAGE}", "HEAD")
    assert (status, body) == (200, b"")
    assert headers["content-length"] == str((workshop.output / PACKAGE).stat().st_size)
    assert headers["accept-ranges"] == "bytes"
    assert client.get(f"/{PACKAGE}")[0] == 200


def test_conditional_requests(client: Client, workshop: Workshop) -> None:
    _, headers, _ = client.get(f"/{PACKAGE}")
    tag, date = headers["etag"], headers["last-modified"]
    assert client.get(f"/{PACKAGE}", If_None_Match=tag)[0] == 304
    assert client.get(f"/{PACKAGE}", If_None_Match=f'"other", W/{tag}')[0] == 304
    assert client.get(f"/{PACKAGE}", If_None_Match="*")[0] == 304
    assert client.get(f"/{PACKAGE}", If_None_Match='"other"', If_Modified_Since=date)[0] == 200
    assert client.get(f"/{PACKAGE}", If_Modified_Since=date)[0] == 304
    assert client.get(f"/{PACKAGE}", If_Modified_Since="Thu, 01 Jan 1970 00:00:00 GMT")[0] == 200
    assert client.get(f"/{PACKAGE}", If_Modified_Since="yesterday")[0] == 200
    (workshop.output / PACKAGE).unlink()
    (workshop.output / PACKAGE).write_bytes(b"new")
    assert client.get(f"/{PACKAGE}", If_None_Match=tag)[2] == b"new"


def test_ranges(client: Client, workshop: Workshop) -> None:
    whole = (workshop.output / PACKAGE).read_bytes()
    status, headers, body = client.get(f"/{PACKAGE}", Range="bytes=5-9")
    assert (status, body, headers["content-range"]) == (206, whole[5:10], f"bytes 5-9/{len(whole)}")
    assert client.get(f"/{PACKAGE}", Range="bytes=7-")[2] == whole[7:]
    assert client.get(f"/{PACKAGE}", Range="bytes=-7")[2] == whole[-7:]
    status, headers, body = client.get(f"/{PACKAGE}", Range=f"bytes={len(whole)}-")
    assert (status, body, headers["content-range"]) == (416, b"", f"bytes */{len(whole)}")
    tag = client.get(f"/{PACKAGE}", "HEAD")[1]["etag"]
    assert client.get(f"/{PACKAGE}", Range="bytes=0-0", If_Range=tag)[0] == 206
    assert client.get(f"/{PACKAGE}", Range="bytes=0-0", If_Range='"old"')[:3:2] == (200, whole)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=0-99", (0, 10)),
        ("bytes=3-", (3, 10)),
        ("bytes=-3", (7, 10)),
        ("bytes=-99", (0, 10)),
        ("bytes=10-", "unsatisfiable"),
        ("bytes=-0", "unsatisfiable"),
        ("bytes=5-4", None),
        ("bytes=-", None),
        ("bytes=0-1,3-4", None),
        ("lines=1-2", None),
        (f"bytes={'9' * 5000}-", "unsatisfiable"),
    ],
)
def test_parsing_of_ranges(header: str, expected: object) -> None:
    assert parse_range(header, 10) == expected
    assert parse_range("bytes=0-", 0) == "unsatisfiable"


@pytest.mark.parametrize(
    "path",
    [
        "/../tree/lib/greet-1.0/definition.yaml",
        "/%2e%2e/tree",
        "/..%2ftree",
        "/revisions/../../secret",
        "//etc/passwd",
        "/.farm.lock",
        "/revisions",
        "/revisions/",
        "/link",
        "/linked/secret",
        "/folder/file",
        "/pipe",
        "/none",
        "/a%00b",
        "/%ff",
        "/..\\secret",
        "*",
        "http://127.0.0.1/repository.yaml",
    ],
)
def test_nothing_else_is_served(client: Client, workshop: Workshop, path: str) -> None:
    import os

    (workshop.root / "secret").write_text("secret")
    (workshop.output / "link").symlink_to("../secret")
    (workshop.output / "linked").symlink_to("..")
    (workshop.output / "folder").mkdir()
    (workshop.output / "folder" / "file").write_text("secret")
    os.mkfifo(workshop.output / "pipe")
    status, _, body = client.get(path)
    assert (status, b"secret" in body) == (404, False)


def test_other_methods_are_refused(client: Client) -> None:
    assert client.get("/repository.yaml", "DELETE")[0] == 501


def test_the_page_for_people(client: Client, workshop: Workshop) -> None:
    status, headers, body = client.get("/")
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    text = body.decode()
    assert "Say &lt;b&gt;hello&lt;/b&gt;" in text
    assert f'href="./{PACKAGE}"' in text
    assert "revision 1" in text
    assert client.get("/", If_None_Match=headers["etag"])[0] == 304
    workshop.create(description="new")
    assert "revision 2" in client.get("/")[2].decode()
    (workshop.output / "repository.yaml").unlink()
    assert "No wagon" in client.get("/")[2].decode()


def test_stopping_finishes_answers_and_closes_idle_connections(workshop: Workshop) -> None:
    workshop.create()
    big = workshop.output / "big"
    with open(big, "wb") as file:
        file.truncate(64 << 20)
    with running_server(workshop.output) as server:
        idle = Client(server)
        idle.get("/repository.yaml")
        busy = Client(server)
        busy.connection.request("GET", "/big")
        answer = busy.connection.getresponse()
        received = len(answer.read(1000))
        server.stop()
        received += len(answer.read())
        assert received == 64 << 20
        for client in (idle, busy):
            client.connection.close()


def test_a_taken_address(workshop: Workshop) -> None:
    workshop.create()
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(FarmError) as caught:
        WagonServer(workshop.output, "127.0.0.1", taken.getsockname()[1])
    assert caught.value.code == "address-in-use"


def test_over_ipv6(workshop: Workshop) -> None:
    if not socket.has_ipv6 or not Path("/proc/net/if_inet6").exists():
        pytest.skip("no IPv6 here")
    workshop.create()
    try:
        with WagonServer(workshop.output, "::1") as server:
            assert server.url.startswith("http://[::1]:")
    except FarmError:
        pytest.skip("no IPv6 loopback here")
