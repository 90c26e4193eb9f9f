# SPDX-License-Identifier: GPL-3.0-or-later
"""The meta-repo: its JSON byte for byte, what a bump writes, and the way back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from git_server import git
from kit_command import World
from kit_tree import Tree, files_of, read, subjects

from farm.kit.release.documents import documents
from farm.kit.specfile import read_release_spec

DATA = Path(__file__).parent.parent / "data/kits"
SAMPLES = DATA / "meta-repo/new"


def spec_of_sample(folder: Path) -> Path:
    """The release specification of the samples: mark-31's kits and order, at the samples' branch ``mark-i``."""
    text = (DATA / "release-specs/mark-31.yml").read_text()
    file = folder / "mark-i.yml"
    file.write_text(text.replace('branch: "mark-31"', 'branch: "mark-i"').replace("branch: mark-31", "branch: mark-i"))
    return file


def test_json_byte_for_byte(tmp_path: Path) -> None:
    pins = json.loads((SAMPLES / "kit-sha1.json").read_bytes())
    made = documents(read_release_spec(spec_of_sample(tmp_path)), {kit: pin["mark-i"] for kit, pin in pins.items()})
    for name in ("kit-info.json", "kit-sha1.json", "version.json"):
        assert made[f"metadata/{name}"] == (SAMPLES / name).read_bytes(), name


@pytest.mark.parametrize("name", ["mark-31", "mark-xl"])
def test_real_specifications_load(name: str) -> None:
    assert read_release_spec(DATA / f"release-specs/{name}.yml").problems == ()


SPEC = """\
release:
  sources:
  - {name: core-kit, url: URL(core-kit), branch: mark-xl}
  - {name: a-kit, url: URL(a-kit), branch: mark-xl, depth: 4, priority: 7}
  main_kit: core-kit
  target: {name: meta-repo, url: URL(meta-repo), branch: mark-xl}
"""


@pytest.fixture
def spec(world: World) -> Path:
    """Two kits and an empty meta-repo."""
    for name in ("core-kit", "a-kit"):
        world.create(name)
        change(world, name, "1.0")
    world.create("meta-repo")
    return world.spec("release.yml", SPEC)


def change(world: World, kit: str, version: str, when: int = 1_700_000_000) -> str:
    """A new commit in a kit."""
    tree = Tree(cached=False)
    tree.add("dev-libs/one", version)
    return tree.commit(world.kit(kit), "mark-xl", when=when)


def bump(world: World, spec: Path, *words: object, day: int = 1, command: str = "bump-release") -> dict:
    """A bump on a day of March 2026."""
    epoch = str(1_772_323_200 + (day - 1) * 86400 + 3600)
    ran = world.call("kit", command, "--specfile", spec, "--json", "--push", *words, SOURCE_DATE_EPOCH=epoch)
    assert ran.status == 0, ran.err
    return ran.json()


def test_bump(world: World, spec: Path) -> None:
    assert bump(world, spec)["changed"] is True
    meta = world.kit("meta-repo")
    head = world.branches("meta-repo")["mark-xl"]
    assert subjects(meta, head) == ["Created branch by mark-devkit", "Bump first release :champagne:!"]
    core, other = world.branches("core-kit")["mark-xl"], world.branches("a-kit")["mark-xl"]
    assert read(meta, head, "metadata/kit-sha1.json").rstrip("\n") == (
        f'{{\n "a-kit": {{\n  "mark-xl": {{\n   "sha1": "{other}",\n   "depth": 4\n  }}\n }},\n'
        f' "core-kit": {{\n  "mark-xl": "{core}"\n }}\n}}'
    )
    assert read(meta, head, "repos.conf/a-kit") == (
        "[a-kit]\nlocation = /var/git/meta-repo/kits/a-kit\nauto-sync = no\npriority = 7\n"
    )
    assert read(meta, head, "repos.conf/default") == "[DEFAULT]\nmain-repo = core-kit\n"
    world.git.requests.clear()
    assert bump(world, spec)["changed"] is False
    assert not [r for r in world.git.requests if "receive-pack" in r]
    new = change(world, "core-kit", "1.1")
    assert bump(world, spec)["moved"] == {"core-kit": {"from": core, "to": new}}
    assert subjects(meta, "mark-xl")[-1] == "Bump kits updates"


def test_a_kit_that_is_no_longer_listed(world: World, spec: Path) -> None:
    bump(world, spec)
    spec.write_text("".join(line for line in spec.read_text().splitlines(keepends=True) if "name: a-kit" not in line))
    assert bump(world, spec)["changed"] is True
    assert "repos.conf/a-kit" not in files_of(world.kit("meta-repo"), "mark-xl")


def test_revert(world: World, spec: Path) -> None:
    first = change(world, "core-kit", "1.1")
    begin = bump(world, spec, day=1)["head"]
    second = change(world, "core-kit", "1.2")
    bump(world, spec, day=3)
    done = bump(world, spec, "2026-03-02", day=4, command="revert-release")
    assert done["moved"] == {"core-kit": {"from": second, "to": first}}
    meta = world.kit("meta-repo")
    assert subjects(meta, "mark-xl")[-1] == f"Revert kits to {begin[:12]}"
    assert git(meta, "rev-parse", "mark-xl:metadata") == git(meta, "rev-parse", f"{begin}:metadata")
    assert bump(world, spec, begin[:10], day=5, command="revert-release")["changed"] is False
    for pin, code in (("2020-01-01", "no-such-pin"), ("yesterday", "bad-pin"), ("abcdef0", "no-such-pin")):
        ran = world.call("kit", "revert-release", "--specfile", spec, pin)
        assert ran.status == 1 and f"[{code}]" in ran.err


def test_name_and_url_must_agree(world: World, spec: Path) -> None:
    spec.write_text(spec.read_text().replace("name: a-kit", "name: fornsics-kit"))
    ran = world.call("kit", "bump-release", "--specfile", spec, "--push")
    assert ran.status == 1 and "[kit-name-mismatch]" in ran.err and "release.yml:4:12" in ran.err
    assert world.branches("meta-repo") == {}


def test_all_missing_branches_at_once(world: World, spec: Path) -> None:
    spec.write_text(
        spec.read_text().replace("branch: mark-xl}", "branch: mark-v}").replace("mark-xl, depth", "no, depth")
    )
    ran = world.call("kit", "bump-release", "--specfile", spec, "--push")
    assert ran.status == 1 and ran.err.count("[no-such-branch]") == 2


def test_somebody_else_pushes_meanwhile(world: World, spec: Path) -> None:
    bump(world, spec)
    change(world, "core-kit", "1.1")
    seen: list[str] = []

    def first_another(method: str, path: str) -> None:
        if method == "POST" and "meta-repo" in path and "receive-pack" in path and not seen:
            seen.append(path)
            tree = Tree()
            tree.files["README.md"] = b"by hand\n"
            tree.commit(world.kit("meta-repo"), "mark-xl")

    world.git.broken = first_another
    ran = world.call("kit", "bump-release", "--specfile", spec, "--push")
    assert ran.status == 1 and "[push-refused]" in ran.err
    assert bump(world, spec)["changed"] is True
    assert "Bump kits updates" in subjects(world.kit("meta-repo"), "mark-xl")[-1]


FOUNDATIONS = """\
overlays: [gentoo]
source-defs:
  - current: [{repo: gentoo}]
metadata:
  - rel: {version: 12, required: [{ego: '2.8.0'}]}
kit-groups:
  defaults: {source: current, branch: mark-xl}
  releases:
    - rel:
        - core-kit: {stability: near-prime}
        - a-kit: {kind: independent, stability: deprecated}
"""


def test_stability_by_foundations(world: World) -> None:
    for kit in ("core-kit", "a-kit"):
        tree = Tree()
        tree.add("dev-libs/one", "1.0")
        tree.commit(world.create(kit), "mark-xl")
    world.create("meta-repo")
    file = world.spec("release.yml", SPEC)
    words = ("kit", "bump-release", "--specfile", file, "--push", "--json")
    assert world.call(*words).status == 0
    assert world.call(*words, "--foundations", world.spec("f.yaml", FOUNDATIONS)).json()["changed"] is True
    info = json.loads(read(world.kit("meta-repo"), "mark-xl", "metadata/kit-info.json"))
    assert info["kit_settings"] == {"a-kit": {"stability": {"mark-xl": "deprecated"}, "type": "indy"},
                                    "core-kit": {"stability": {"mark-xl": "near-prime"}, "type": "auto"}}  # fmt: skip
    assert info["release_defs"] == {"core-kit": ["mark-xl"]} and info["kit_order"] == ["core-kit", "a-kit"]
    assert info["release_info"] == {"required": [{"ego": "2.8.0"}], "version": 12}
    again = world.call(*words, "--foundations", "f.yaml", "--release", "rel").json()
    assert again["changed"] is False
    assert "[unknown-release]" in world.call(*words, "--foundations", "f.yaml", "--release", "none").err
