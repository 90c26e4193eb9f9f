# SPDX-License-Identifier: GPL-3.0-or-later
"""Stage files: all that is wrong is told at once, with its place, before anything runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from stage_site import BASE, Site

from farm.plan.job import Seed
from farm.spec.problem import FarmError
from farm.stage.file import read_stage
from farm.stage.library import Library
from farm.stage.model import ArchiveSeed, Bind, OciSeed, StageSeed, WagonSeed
from farm.stage.seeds import seed_node
from farm.store.keys import public_text
from farm.store.signature import SecretKey

GOOD = """\
release: {build: b, subarch: s}
seed: {empty: true}
outputs: [tar]
"""


def found(path: Path) -> list[tuple[str, int]]:
    """Codes and lines of what is wrong with a file."""
    with pytest.raises(FarmError) as caught:
        read_stage(path, {})
    return [(p.code, p.place.line if p.place else 0) for p in caught.value.problems]


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("release: {build: b, subarch: s}\nseed: {empty: true}\noutputs: [tar.lzma, tar]\n", [("bad-output", 3)]),
        (GOOD.replace("[tar]", "[]"), [("bad-output", 3)]),
        (GOOD.replace("[tar]", "[tar, tar]"), [("bad-output", 3)]),
        (GOOD.replace("[tar]", "\n- {format: tar.xz, level: 10}"), [("bad-output", 4)]),
        (GOOD.replace("[tar]", "\n- {format: tar, docker: a}"), [("bad-output", 4)]),
        (GOOD.replace("empty: true", "empty: true, docker: a"), [("bad-seed", 2)]),
        (GOOD.replace("empty: true", "sha256: " + "0" * 64), [("bad-seed", 2)]),
        (GOOD.replace("empty: true", "url: a.tar"), [("unverified-seed", 2)]),
        (GOOD.replace("empty: true", "url: a.tar, key: nokey"), [("bad-key", 2)]),
        (GOOD.replace("empty: true", "docker: a, digest: " + "0" * 64), [("bad-seed", 2)]),
        (GOOD.replace("empty: true", "wagons: [a]"), [("missing-key", 2)]),
        (GOOD + "packages: [a/b]\n", [("missing-key", 4)]),
        (GOOD + "trees: [nowhere]\n", [("missing-tree", 4)]),
        (GOOD + "excludes: ['(']\n", [("bad-regex", 4)]),
        (GOOD + "binds: [{target: /a}]\n", [("bad-bind", 4)]),
        (GOOD + "binds: [{target: a, cache: x}]\n", [("bad-path", 4)]),
        (GOOD + "binds: [{target: /a/../b, cache: x}]\n", [("bad-path", 4)]),
        (GOOD + "checks: [{name: a}]\n", [("bad-check", 4)]),
        (GOOD + "hooks:\n- {name: a, point: midnight, commands: [x]}\n", [("unknown-point", 5)]),
        (GOOD + "hooks:\n- {name: a, point: after-seed, commands: []}\n", [("empty-value", 5)]),
        (
            GOOD + "hooks:\n" + "- {name: a, point: after-seed, commands: [x]}\n" * 2,
            [("duplicate-name", 6)],
        ),
        (GOOD + "hoks: []\n", [("unknown-key", 4)]),
        ("release: {build: ../b, subarch: s}\nseed: {empty: true}\noutputs: [tar]\n", [("bad-name", 1)]),
        (GOOD + "environment: {A: {}}\n", [("wrong-type", 4)]),
        (GOOD + "---\n" + GOOD, [("several-documents", 5)]),
        (GOOD + "{{ fail \"no\" }}\n", [("template-execution", 4)]),
    ],
)  # fmt: skip
def test_what_is_wrong(tmp_path: Path, text: str, problems: list[tuple[str, int]]) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(text)
    assert found(file) == problems


def test_all_at_once(tmp_path: Path) -> None:
    text = (
        "release: {build: b, subarch: s}\nseed: {url: x}\nexcludes: ['[']\n"
        "binds: [{target: /a}]\noutputs: [rar]\ntrees: [nowhere]\n"
    )
    (tmp_path / "a.yaml").write_text(text)
    assert {code for code, _ in found(tmp_path / "a.yaml")} == {
        "unverified-seed", "bad-regex", "bad-bind", "bad-output", "missing-tree",
    }  # fmt: skip


def test_what_a_file_becomes(tmp_path: Path) -> None:
    key = SecretKey(b"12345678", b"s" * 32).public
    text = (
        "description: {{ .Values.word }}\nrelease: {build: b, subarch: s}\n"
        f"seed: {{url: seeds/a.tar.xz, key: {key.text}}}\n"
        "environment: {A: 1.10, B: no}\nbinds: [{cache: dist, target: /var/x, read-only: true}]\noutputs: [tar]\n"
    )
    (tmp_path / "stage9.yaml").write_text(text)
    stage = read_stage(tmp_path / "stage9.yaml", {"word": "hello"})
    assert stage.description == "hello"
    assert isinstance(stage.seed, ArchiveSeed)
    assert stage.seed.url == (tmp_path / "seeds/a.tar.xz").as_uri()
    assert public_text(key).splitlines()[1] == stage.seed.key
    assert stage.environment == (("A", "1.10"), ("B", "no"))
    assert [(one.cache, one.target, one.read_only) for one in stage.binds] == [("dist", "/var/x", True)]
    assert isinstance(stage.binds[0], Bind)
    assert stage.release.target == "stage9"


def test_kinds_of_seeds(tmp_path: Path) -> None:
    def seed(text: str) -> object:
        (tmp_path / "a.yaml").write_text(GOOD.replace("{empty: true}", text))
        return read_stage(tmp_path / "a.yaml", {}).seed

    layout = seed("{oci: images/x:1, digest: 'sha256:" + "0" * 64 + "'}")
    assert isinstance(layout, OciSeed)
    assert (layout.layout, layout.tag, layout.digest) == (tmp_path / "images/x", "1", "0" * 64)
    wagons = seed("{wagons: [w, 'http://h/w'], packages: [a/b], finalizers: false}")
    assert isinstance(wagons, WagonSeed)
    assert wagons.wagons == (str(tmp_path / "w"), "http://h/w")
    assert not wagons.finalizers
    assert isinstance(seed("{stage: other}"), StageSeed)


def test_packages_of_a_seed_may_be_for_one_architecture(tmp_path: Path) -> None:
    seed = "{debootstrap: {suite: host, packages: [gcc, 'gcc-aarch64-linux-gnu [amd64]', 'qemu [!amd64]']}}"
    for platform, expected in (("linux/amd64", "gcc-aarch64-linux-gnu"), ("linux/arm64", "qemu")):
        (tmp_path / "a.yaml").write_text(GOOD.replace("{empty: true}", seed) + f"platform: {platform}\n")
        node = seed_node(read_stage(tmp_path / "a.yaml", {}))
        assert node is not None and isinstance(node.action, Seed)
        assert node.action.packages == ("gcc", expected)


def test_stages_that_need_each_other(site: Site) -> None:
    site.stage("a", seed={"stage": "b"})
    site.stage("b", seed={"stage": "c"})
    site.stage("c", seed={"stage": "a"})
    with pytest.raises(FarmError) as caught:
        Library(site.root / "stages").chain(["a"])
    assert caught.value.code == "stage-cycle"


def test_seeds_come_first(site: Site) -> None:
    site.stage("a")
    site.stage("b", seed={"stage": "a"})
    site.stage("c", seed={"stage": "b"})
    assert [one.name for one in Library(site.root / "stages").chain(["c", "a"])] == ["a", "b", "c"]


def test_nothing_runs_when_something_is_wrong(site: Site) -> None:
    """Unknown packages, unknown stages, hooks where there is no root: found before the first job."""
    site.package("app/a", BASE + "steps: [mkdir /out]\n")
    site.stage("one", packages=["app/a", "app/b", "app/c@>9"], seed=None)
    text = json.loads((site.root / "stages/one.yaml").read_text())
    text["seed"] = {"empty": True}
    text["hooks"] = [
        {"name": "early", "point": "before-seed", "commands": ["x"]},
        {"name": "outside", "point": "after-seed", "where": "host", "commands": ["x"]},
    ]
    text["binds"] = [{"host": "/srv", "target": "/srv"}]
    site.write("one", json.dumps(text, indent=1))
    ran = site.build("one")
    assert ran.status == 1
    for code in ("unknown-target", "no-root", "host-hook", "host-bind"):
        assert f"[{code}]" in ran.err
    assert ran.err.count("unknown-target") == 2
    assert "stages/one.yaml:" in ran.err
    assert not list((site.root / "store").glob("logs/*"))
    assert site.run("build", "two").status == 1


def test_unknown_seed_stage_has_its_place(site: Site) -> None:
    site.stage("one", seed={"stage": "onee"})
    site.stage("onee-", seed={"empty": True})
    ran = site.build("one")
    assert "[unknown-stage]" in ran.err
    assert "did you mean 'onee-'" in ran.err
