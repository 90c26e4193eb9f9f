# SPDX-License-Identifier: GPL-3.0-or-later
"""Pull requests on each kind of forge: made once, found again, superseded, and what survives failures."""

from __future__ import annotations

from pathlib import Path

import pytest
from git_server import TOKEN, git
from kit_command import World, merge_spec
from kit_tree import Tree, read, subjects

SPEC = merge_spec("dev-libs/one", "{pkg: dev-libs/two, max_versions: 1}")
BUMP = "merge/mark-xl/bump-dev-libs_"


@pytest.fixture
def spec(world: World) -> Path:
    """A source with two packages, and a target that has all but packages."""
    core, app = world.create("core-kit"), world.create("app-kit")
    tree = Tree()
    tree.add("dev-libs/one", "1.0")
    tree.add("dev-libs/two", "1.0")
    tree.commit(core, "testing")
    tree = Tree()
    tree.files |= {"README.md": b"x\n", "profiles/repo_name": b"app-kit\n", "profiles/categories": b"dev-libs\n",
                   "metadata/layout.conf": (b"repo-name = app-kit\nthin-manifests = true\nsign-manifests = false\n"
                                            b"profile-formats = portage-2\ncache-formats = md5-dict\n"
                                            b"masters = core-kit\n")}  # fmt: skip
    tree.commit(app, "mark-xl")
    return world.spec("app.yml", SPEC)


def states(report: dict) -> dict[str, str]:
    """Subject → what became of it."""
    return {d["subject"]: d["state"] for d in report["delivered"]}


def release(world: World, package: str, version: str) -> None:
    """A new version in the source."""
    tree = Tree()
    tree.add(package, version)
    tree.commit(world.kit("core-kit"), "testing")


@pytest.mark.parametrize("forge_kind", ["github", "gitlab", "forgejo"])
def test_each_forge(world: World, spec: Path) -> None:
    ran, report = world.kit_run("merge", spec, "--push", "--pr")
    assert (ran.status, states(report)) == (0, {"dev-libs/one-1.0": "opened", "dev-libs/two-1.0": "opened"}), ran.err
    pull = world.forge.open[f"{BUMP}one-1_0"]
    assert pull.title == "mark-devkit: [mark-xl] Bump dev-libs/one-1.0"
    assert pull.body == "Automatic bump of package dev-libs/one-1.0 for branch mark-xl by mark-bot"
    assert subjects(world.kit("app-kit"), pull.head)[1:] == ["Bump dev-libs/one-1.0"]
    before = world.branches("app-kit")
    ran, report = world.kit_run("merge", spec, "--push", "--pr")
    assert (report["changed"], set(states(report).values())) == (False, {"queued"})
    assert (world.branches("app-kit"), len(world.forge.pulls)) == (before, 2)
    world.forge.merge(f"{BUMP}two-1_0", delete_branch=False)
    release(world, "dev-libs/one", "1.1")
    ran, report = world.kit_run("merge", spec, "--push", "--pr")
    assert states(report) == {"dev-libs/one-1.1": "opened"}
    assert list(world.forge.open) == [f"{BUMP}one-1_1"] and len(report["closed"]) == 1
    assert world.forge.pulls[0].comments == ["Superseded by dev-libs/one-1.1."]
    assert f"{BUMP}one-1_0" not in world.branches("app-kit")
    assert world.kit_run("merge", spec, "--push", "--pr")[1]["changed"] is False


def test_push_accepted_and_the_api_fails(world: World, spec: Path) -> None:
    world.forge.broken = lambda method, _path: 500 if method == "POST" else None
    ran, report = world.kit_run("merge", spec, "--push", "--pr")
    assert ran.status == 1 and set(states(report).values()) == {"failed"}
    assert [p["code"] for p in report["problems"]] == ["forge-unreachable"] * 2
    assert f"{BUMP}one-1_0" in world.branches("app-kit") and not world.forge.pulls
    world.forge.broken = lambda _method, _path: None
    ran, report = world.kit_run("merge", spec, "--push", "--pr")
    assert (ran.status, set(states(report).values()), len(world.forge.pulls)) == (0, {"opened"}, 2)


@pytest.mark.parametrize("after", [500, "cut"])
def test_made_although_the_answer_is_lost(world: World, spec: Path, after: object) -> None:
    world.forge.broken_after = lambda method, _path: after if method == "POST" else None
    ran, report = world.kit_run("merge", spec, "--push", "--pr")
    assert (ran.status, set(states(report).values()), len(world.forge.pulls)) == (0, {"opened"}, 2), ran.err


def test_rate_limit(world: World, spec: Path) -> None:
    times = iter(["rate", None, "rate"])
    world.forge.broken = lambda _method, _path: next(times, None)
    ran, report = world.kit_run("merge", spec, "--push", "--pr")
    assert (ran.status, len(world.forge.pulls)) == (0, 2), ran.err
    release(world, "dev-libs/one", "1.1")
    world.forge.broken = lambda method, _path: "long-rate" if method == "POST" else None
    ran, report = world.kit_run("merge", spec, "--push", "--pr")
    assert ran.status == 1 and "forge-rate-limit" in [p["code"] for p in report["problems"]]
    world.forge.broken = lambda _method, _path: None
    world.kit_run("merge", spec, "--push", "--pr")
    assert sorted(world.forge.open) == [f"{BUMP}one-1_1", f"{BUMP}two-1_0"]


def test_declined_and_changed_by_hand(world: World, spec: Path) -> None:
    world.kit_run("merge", spec, "--push", "--pr")
    world.forge.open[f"{BUMP}one-1_0"].state = "closed"
    tree = Tree(cached=False)
    tree.files["dev-libs/two/two-1.0.ebuild"] = b"EAPI=7\n# by hand\n"
    mine = tree.commit(world.kit("app-kit"), f"{BUMP}two-1_0")
    ran, report = world.kit_run("merge", spec, "--push", "--pr")
    assert states(report) == {"dev-libs/one-1.0": "declined", "dev-libs/two-1.0": "by-hand"}
    assert ran.status == 0 and world.branches("app-kit")[f"{BUMP}two-1_0"] == mine


def test_an_open_pull_request_follows_its_source(world: World, spec: Path) -> None:
    world.kit_run("merge", spec, "--push", "--pr")
    tree = Tree(cached=False)
    tree.files["dev-libs/one/files/fix.patch"] = b"fix\n"
    tree.commit(world.kit("core-kit"), "testing")
    _, report = world.kit_run("merge", spec, "--push", "--pr")
    assert states(report)["dev-libs/one-1.0"] == "updated" and len(world.forge.pulls) == 2
    assert read(world.kit("app-kit"), f"{BUMP}one-1_0", "dev-libs/one/files/fix.patch") == "fix\n"


def test_a_new_target_branch_is_pushed_first(world: World, spec: Path) -> None:
    git(world.kit("app-kit"), "update-ref", "-d", "refs/heads/mark-xl")
    ran, report = world.kit_run("merge", spec, "--push", "--pr")
    assert ran.status == 0, ran.err
    assert subjects(world.kit("app-kit"), "mark-xl") == ["Created branch by mark-devkit"]
    assert set(states(report)) >= {"dev-libs/one-1.0", "metadata", "profiles"}
    assert all(pull.base == "mark-xl" for pull in world.forge.pulls) and len(world.forge.pulls) == 4


def test_purges(world: World, spec: Path) -> None:
    tree = Tree()
    for version in ("1.0", "0.9", "0.8"):
        tree.add("dev-libs/two", version)
    tree.commit(world.kit("app-kit"), "mark-xl")
    ran, report = world.kit_run("clean", spec, "--push", "--pr")
    head = "purge/mark-xl/dev-libs_two"
    assert (ran.status, states(report)) == (0, {"dev-libs/two": "opened"}), ran.err
    assert world.forge.open[head].title == "mark-devkit: [mark-xl] Purge dev-libs/two"
    assert world.forge.open[head].body.endswith("by mark-bot\n\n * v0.8\n * v0.9\n")
    assert world.kit_run("clean", spec, "--push", "--pr")[1]["changed"] is False
    world.forge.merge(head, delete_branch=False)
    assert world.kit_run("clean", spec, "--push", "--pr")[1]["changed"] is False
    tree = Tree()
    tree.add("dev-libs/two", "1.0")
    tree.add("dev-libs/two", "1.1")
    tree.commit(world.kit("app-kit"), "mark-xl")
    ran, report = world.kit_run("clean", spec, "--push", "--pr")
    assert states(report) == {"dev-libs/two": "opened"} and world.forge.open[head].body.endswith(" * v1.0\n")
    git(world.kit("app-kit"), "update-ref", "refs/heads/mark-xl", "mark-xl~1")
    ran, report = world.kit_run("clean", spec, "--push", "--pr")
    assert not world.forge.open and len(report["closed"]) == 1 and head not in world.branches("app-kit")


def test_no_token_stops_before_any_work(world: World, spec: Path) -> None:
    ran, _ = world.kit_run("merge", spec, "--push", "--pr", GITHUB_TOKEN="")
    assert ran.status == 1 and "forge-token" in ran.err and not world.git.requests


def test_the_token_goes_to_the_target_only(world: World, spec: Path) -> None:
    from git_server import GitServer
    from served import served

    other = GitServer(world.git.root)
    with served(other):
        spec.write_text(spec.read_text().replace(world.url("core-kit"), f"{other.url}/macaroni/core-kit.git"))
        ran, _ = world.kit_run("merge", spec, "--push")
    assert ran.status == 0 and other.requests and not other.users


@pytest.mark.parametrize("way", ["variable", "file", "token_env", "token_file"])
def test_the_token_of_a_forge_of_ones_own(world: World, spec: Path, way: str) -> None:
    from farm.kit.tokens import host_variable

    host = world.git.url.partition("://")[2]
    secret = world.secret("secret/token", TOKEN + "\nnot the token\n")
    env = {"GITHUB_TOKEN": "", "OWN": TOKEN if way == "token_env" else ""}
    if way in ("variable", "file"):
        name = host_variable(host)
        env |= {f"FARM_TOKEN_{name}": TOKEN} if way == "variable" else {f"FARM_TOKEN_FILE_{name}": str(secret)}
    else:
        value = "OWN" if way == "token_env" else "secret/token"
        world.spec("mark-devkit.yml", f"authentication:\n  '{host}': {{{way}: {value}}}\n")
    ran, report = world.kit_run("merge", spec, "--push", "--pr", **env)
    assert (ran.status, set(states(report).values())) == (0, {"opened"}), ran.err


def test_a_token_that_is_not_there(world: World, spec: Path) -> None:
    world.spec("mark-devkit.yml", "authentication:\n  a.example: {token_env: NONE}\n  b.example: {token_file: none}\n")
    ran, _ = world.kit_run("merge", spec)
    assert ran.status == 1 and "mark-devkit.yml:2" in ran.err
    assert (ran.err.count("[no-token]"), ran.err.count("[no-secret]")) == (1, 1)


def test_a_token_that_others_may_read(world: World, spec: Path) -> None:
    from farm.kit.tokens import host_variable

    secret = world.spec("secret/token", TOKEN)
    name = host_variable(world.git.url.partition("://")[2])
    ran, _ = world.kit_run("merge", spec, **{f"FARM_TOKEN_FILE_{name}": str(secret)})
    assert (ran.status, "[open-secret]" in ran.err, TOKEN in ran.err) == (1, True, False)
    world.spec("mark-devkit.yml", "authentication:\n  a.example: {token_file: secret/token}\n")
    ran, _ = world.kit_run("merge", spec)
    assert (ran.status, "[open-secret]" in ran.err, "mark-devkit.yml:2" in ran.err) == (1, True, True)


def test_no_two_hosts_have_the_same_variable() -> None:
    from farm.kit.tokens import host_variable

    hosts = ["git.example.org", "git-example.org", "git.example-org", "git.example.org:8080", "git--example.org"]
    assert len({host_variable(host) for host in hosts}) == len(hosts)
