# SPDX-License-Identifier: GPL-3.0-or-later
"""Webhooks hear what was pushed and what failed; one that does not answer fails nothing, and is told of."""

from __future__ import annotations

import http.server
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kit_command import World
from kit_tree import Tree
from served import served

from farm.kit.notify import LONGEST, MOST, hooks_of, messages_of

SECRET = "/api/webhooks/1/s3cret-path"
SPEC = """\
sources: [{name: core-kit, url: URL(core-kit), branch: testing}]
target: {name: app-kit, url: URL(app-kit), branch: mark-xl, atoms: [{pkg: dev-libs/one}]}
"""


RELEASE = """\
release:
  sources: [{name: core-kit, url: URL(core-kit), branch: testing}]
  main_kit: core-kit
  target: {name: meta-repo, url: URL(meta-repo), branch: xl}
"""


class Room(http.server.ThreadingHTTPServer):
    """A chat room's webhook, as Discord documents it: JSON with ``content``, answered by 204."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.heard: list[dict[str, Any]] = []
        self.answers: list[int] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}{SECRET}"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Room

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        right = self.path == SECRET and self.headers["Content-Type"] == "application/json"
        status = self.server.answers.pop(0) if self.server.answers else 204 if right else 400
        if status == 204:
            self.server.heard.append(body)
        self.send_response(status)
        if status == 429:
            self.send_header("Retry-After", "0")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def room() -> Iterator[Room]:
    server = Room()
    with served(server):
        yield server


@pytest.fixture
def spec(world: World) -> Path:
    """A source with a package, and an empty target."""
    tree = Tree()
    tree.add("dev-libs/one", "1.0")
    tree.commit(world.create("core-kit"), "testing")
    world.create("app-kit")
    return world.spec("app.yml", SPEC)


def test_what_was_pushed_is_told_once(world: World, spec: Path, room: Room) -> None:
    room.answers = [429]
    ran, _ = world.kit_run("merge", spec, "--push", MARKDEVKIT_DISCORD_URL=room.url)
    assert (ran.status, SECRET in ran.err + ran.out) == (0, False), ran.err
    [message] = room.heard
    assert message["allowed_mentions"] == {"parse": []}
    assert message["content"].splitlines()[0].endswith("[dev-libs/one] mark-devkit: [mark-xl] Bump dev-libs/one-1.0")
    assert world.kit_run("merge", spec, "--push", "--notify-discord-url", room.url)[0].status == 0
    assert len(room.heard) == 1, "nothing changed, and nothing is told"


def test_nothing_is_told_of_a_dry_run_or_without_a_push(world: World, spec: Path, room: Room) -> None:
    for words in ((), ("--push", "--dry-run")):
        assert world.kit_run("merge", spec, *words, "--notify-discord-url", room.url)[0].status == 0
    assert room.heard == []


@pytest.mark.parametrize("answer", [500, 404, "refused"])
def test_a_room_that_does_not_answer_fails_nothing(world: World, spec: Path, room: Room, answer: int | str) -> None:
    url = room.url
    if answer == "refused":
        url = f"http://127.0.0.1:9{SECRET}"
    else:
        room.answers = [int(answer)] * 9
    ran, report = world.kit_run("merge", spec, "--push", "--notify-discord-url", url)
    assert ran.status == 0 and world.branches("app-kit").keys() == {"mark-xl"}
    assert [p["code"] for p in report["problems"]] == ["not-notified"]
    assert SECRET not in ran.out + ran.err


def test_what_failed_is_told(world: World, spec: Path, room: Room) -> None:
    world.secret("conf/hook", room.url + "\r\n")
    hooks = "hooks:\n- {name: chat, type: discord, url_file: hook}\n- {type: pigeon}\n- {url_file: none}\n"
    config = world.spec("conf/mark.yml", hooks)
    world.spec("app.yml", SPEC.replace("testing", "nowhere"))
    ran, _ = world.kit_run("merge", spec, "--push", MARKDEVKIT_CONFIG=str(config))
    assert ran.status == 1 and "pigeon" in ran.err and "[no-secret]" in ran.err
    assert "[no-such-branch]" in room.heard[0]["content"]


def test_a_release_is_told(world: World, spec: Path, room: Room) -> None:
    world.create("meta-repo")
    release = world.spec("release.yml", RELEASE)
    words = ("kit", "bump-release", "--specfile", release, "--push", "--json")
    assert world.call(*words, MARKDEVKIT_DISCORD_URL_FILE=str(world.secret("hook", room.url))).status == 0
    assert "core-kit" in room.heard[0]["content"]


def test_which_hooks_there_are() -> None:
    entry = {"name": "one", "type": "discord", "url": "https://a"}
    hooks, problems = hooks_of({"notifier": {"hooks": [entry, {**entry, "enable": False, "url": "https://b"}]}}, {})
    assert ([hook.url for hook in hooks], problems) == (["https://a"], [])
    hooks, problems = hooks_of({"hooks": [{"url_env": "HOOK"}, {"name": "none"}, 7]}, {"HOOK": "https://c"})
    assert ([hook.url for hook in hooks], len(problems)) == (["https://c"], 2)
    assert "https" not in repr(hooks)


def test_long_news_are_cut() -> None:
    messages = messages_of(f"[p{number}] {'x' * 200}\n\nmore" for number in range(100))
    assert len(messages) == MOST and all(len(message) <= 2000 for message in messages)
    assert messages[-1].endswith("more") and len(messages_of(["y" * 5000])[0]) <= LONGEST
    assert messages_of([]) == []
