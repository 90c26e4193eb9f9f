# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of a forge, and what becomes of its worse answers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import release_forge
from release_forge import Project, ReleaseForge

from farm.bump import forge as module
from farm.bump.forge import Forge
from farm.spec.problem import FarmError


@pytest.fixture
def server() -> Iterator[ReleaseForge]:
    """A forge with one project."""
    with release_forge.serving() as made:
        made.projects["o/r"] = Project(
            [f"v{i}" for i in range(250)], "v7", {"HEAD": ("c0ffee", "2026-11-27T10:00:00Z")}
        )
        yield made


@pytest.fixture
def forge(server: ReleaseForge) -> Forge:
    """Asks it, without waiting between tries."""
    return Forge(server.base, sleep=lambda _: None)


def test_answers(server: ReleaseForge, forge: Forge) -> None:
    assert forge.latest_release("o", "r") == "v7"
    assert forge.tags("o", "r") == [f"v{i}" for i in range(250)]
    assert forge.refs("o", "r") == [f"v{i}" for i in range(250)]
    assert forge.release("o", "r", "v3") == "v3"
    assert forge.head("o", "r", "") == ("c0ffee", "20261127")
    assert not server.refused
    assert len(server.asked) == 1 + 3 + 3 + 1 + 1


def test_the_token_is_sent(server: ReleaseForge) -> None:
    server.token = "t0"
    assert Forge(server.base, "t0").latest_release("o", "r") == "v7"
    with pytest.raises(FarmError):
        Forge(server.base).latest_release("o", "r")


def test_a_passing_fault_is_tried_again(server: ReleaseForge, forge: Forge) -> None:
    server.faults["r"] = [(500, {}), (503, {})]
    assert forge.latest_release("o", "r") == "v7"
    server.faults["r"] = [(500, {})] * 3
    with pytest.raises(FarmError) as caught:
        forge.latest_release("o", "r")
    assert caught.value.code == "forge-failed"


@pytest.mark.parametrize(
    ("status", "headers"),
    [(403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1764255600"}), (429, {}), (403, {"retry-after": "60"})],
)
def test_too_many_requests_end_the_asking(
    server: ReleaseForge, forge: Forge, status: int, headers: dict[str, str]
) -> None:
    server.faults["r"] = [(status, headers)]
    for _ in range(3):
        with pytest.raises(FarmError) as caught:
            forge.latest_release("o", "r")
        assert caught.value.code == "forge-rate-limit"
    assert len(server.asked) == 1


def test_what_is_not_there(server: ReleaseForge, forge: Forge) -> None:
    with pytest.raises(FarmError) as caught:
        forge.tags("o", "other")
    assert caught.value.code == "forge-not-found"
    server.projects["o/r"].latest = None
    with pytest.raises(FarmError):
        forge.latest_release("o", "r")


def test_a_list_without_end_is_refused(server: ReleaseForge, forge: Forge) -> None:
    server.projects["o/r"].tags = [f"v{i}" for i in range(100_000)]
    with pytest.raises(FarmError) as caught:
        forge.tags("o", "r")
    assert caught.value.code == "forge-too-many"
    assert len(server.asked) == module.MAX_PAGES


def test_the_next_page_has_to_be_on_the_same_api(server: ReleaseForge, forge: Forge) -> None:
    server.next_host = "http://127.0.0.1:1"
    with pytest.raises(FarmError, match="another host"):
        forge.tags("o", "r")


def test_an_answer_that_is_too_long_and_one_that_is_no_json(
    server: ReleaseForge, forge: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_ANSWER", 1000)
    with pytest.raises(FarmError) as caught:
        forge.tags("o", "r")
    assert caught.value.code == "forge-too-many"
    server.files["/repos/o/r/releases/latest"] = b"<html>"
    with pytest.raises(FarmError, match="no JSON"):
        forge.latest_release("o", "r")
    server.files["/repos/o/r/releases/latest"] = b'{"tag_name": 3}'
    with pytest.raises(FarmError, match="lacks tag_name"):
        forge.latest_release("o", "r")


def test_a_redirect_to_a_file_is_not_followed(server: ReleaseForge, forge: Forge) -> None:
    server.faults["r"] = [(302, {"Location": "file:///etc/passwd"})]
    with pytest.raises(FarmError) as caught:
        forge.latest_release("o", "r")
    assert caught.value.code == "forge-unreachable"


def test_nobody_there_and_a_bad_url() -> None:
    with pytest.raises(FarmError) as caught:
        Forge("http://127.0.0.1:1", sleep=lambda _: None).latest_release("o", "r")
    assert caught.value.code == "forge-unreachable"
    with pytest.raises(FarmError) as caught:
        Forge("file:///etc")
    assert caught.value.code == "bad-url"
