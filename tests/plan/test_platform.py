# SPDX-License-Identifier: GPL-3.0-or-later
"""For which platform, in whose root, and why: plans of small trees."""

from __future__ import annotations

from typing import Any

import pytest

from farm.plan.images import Images, packages_for
from farm.plan.job import Job, Made, Seed
from farm.plan.make import Options, make_plan
from farm.plan.node import Plan, key_document
from farm.plan.platform import Platforms
from farm.spec.model import Build, CopyFrom, Package, PackageId, Requirement, Source, Tree
from farm.spec.problem import Place

ARM = "linux/arm64"
PACKAGES = ("gcc", "gcc-aarch64-linux-gnu [amd64]", "qemu [!amd64 !i386]")
SEEDS = Images({"debian": Seed("debootstrap", suite="bookworm", packages=PACKAGES)})
HOST = Platforms("linux/amd64", ("linux/amd64", "linux/386"))


def package(name: str, **build: Any) -> Package:
    category, _, short = name.partition("/")
    return Package(PackageId(category, short, "1"), build=Build(**build), place=Place(f"{name}.yaml"))


def requires(*names: str) -> tuple[Requirement, ...]:
    return tuple(Requirement(*name.split("/"), ">=0") for name in names)


def plan(*packages: Package, target: str, platform: str = ARM, platforms: Platforms = HOST) -> Plan:
    tree = Tree({p.id: p for p in packages})
    wanted = [p.id for p in packages if p.id.atom == target]
    return make_plan(tree, wanted, Options(platform, images=SEEDS, platforms=platforms))


def job(made: Plan, name: str) -> Job:
    action = made.nodes[name].action
    assert isinstance(action, Job)
    return action


BASE = package("seed/base", image="debian")
LIBC = package("lib/libc", requires=requires("seed/base"), steps=("l",), package_dir="/out", cross=True)
TOOL = package("dev/tool", requires=requires("seed/base"), steps=("t",))
APP = package("app/app", requires=requires("lib/libc", "dev/tool"), steps=("a",), package_dir="/out", cross=True)
ROOT = package("app/root", requires=requires("app/app", "lib/libc"), requires_final_images=True, unpack=True)
CHECK = package("check/root", requires=requires("app/root"), requires_final_images=True, steps=("c",))
ALL = (BASE, LIBC, TOOL, APP, ROOT, CHECK)


def test_without_a_cross_flag_everything_is_emulated() -> None:
    made = plan(BASE, TOOL, target="dev/tool")
    found = job(made, "dev/tool-1@arm64")
    assert (found.platform, found.target) == (ARM, "")
    choice = made.nodes["dev/tool-1@arm64"].choice
    assert choice is not None and choice.how == "emulated"
    assert choice.reason == f"no runner is of {ARM}, and the spec does not say `cross: true`"
    seed = made.nodes["seed:bookworm+2@arm64"].action
    assert isinstance(seed, Seed) and seed.platform == ARM


def test_a_cross_build_stands_on_tools_of_the_build_platform() -> None:
    made = plan(*ALL, target="check/root")
    app, libc = job(made, "app/app-1@arm64"), job(made, "lib/libc-1@arm64")
    assert (app.platform, app.target) == (libc.platform, libc.target) == ("linux/amd64", ARM)
    assert job(made, "dev/tool-1").platform == "linux/amd64" and "dev/tool-1@arm64" not in made.nodes
    assert {ref.node for ref in app.layers if isinstance(ref, Made)} == {
        "seed:bookworm+2",
        "dev/tool-1",
        "lib/libc-1@arm64",
    }
    choices = {name: node.choice.how for name, node in made.nodes.items() if node.choice}
    assert choices == {"app/app-1@arm64": "cross", "lib/libc-1@arm64": "cross", "check/root-1@arm64": "emulated"}
    check = job(made, "check/root-1@arm64")
    assert check.platform == ARM and [ref.node for ref in check.layers if isinstance(ref, Made)] == [
        "app/root-1@arm64:unpacked"
    ]


def test_a_cross_build_is_told_what_it_is() -> None:
    made = plan(*ALL, target="app/app")
    assert "FARM_TARGET_TRIPLE=aarch64-linux-gnu" in made.nodes["app/app-1@arm64"].env
    assert "FARM_BUILD_PLATFORM=linux/amd64" in made.nodes["app/app-1@arm64"].env
    assert not any(line.startswith("FARM_") for line in made.nodes["dev/tool-1"].env)


def test_a_native_runner_goes_first() -> None:
    made = plan(*ALL, target="app/app", platforms=Platforms("linux/amd64", ("linux/amd64", ARM)))
    choice = made.nodes["app/app-1@arm64"].choice
    assert choice is not None and choice.how == "native" and "itself" in choice.reason
    assert job(made, "app/app-1@arm64").platform == ARM


def test_cross_builds_can_be_unwanted() -> None:
    made = plan(*ALL, target="app/app", platforms=Platforms("linux/amd64", ("linux/amd64",), cross=False))
    choice = made.nodes["app/app-1@arm64"].choice
    assert choice is not None and (choice.how, choice.root) == ("emulated", ARM)
    assert choice.reason.endswith("cross builds are not wanted")


def test_keys_of_usual_builds_know_nothing_of_it() -> None:
    usual = plan(*ALL, target="app/app", platform="linux/amd64", platforms=Platforms())
    now = plan(*ALL, target="app/app", platform="linux/amd64")
    assert list(usual.nodes) == list(now.nodes)
    assert [key_document(node.action).keys() for node in usual.nodes.values()] == [
        key_document(node.action).keys() for node in now.nodes.values()
    ]
    assert "target" not in key_document(job(now, "app/app-1"))
    assert all(node.choice is None for node in now.nodes.values())


def test_the_target_is_part_of_the_key() -> None:
    first, second = (plan(*ALL, target="lib/libc", platform=platform) for platform in (ARM, "linux/arm/v7"))
    keys = [key_document(job(first, "lib/libc-1@arm64")), key_document(job(second, "lib/libc-1@arm-v7"))]
    assert [key["target"] for key in keys] == [ARM, "linux/arm/v7"]
    assert [key["platform"] for key in keys] == ["linux/amd64"] * 2


@pytest.mark.parametrize(
    "platform, expected",
    [("linux/amd64", ("gcc", "gcc-aarch64-linux-gnu")), (ARM, ("gcc", "qemu")), ("linux/386", ("gcc",))],
)
def test_packages_of_seeds_may_be_for_one_architecture(platform: str, expected: tuple[str, ...]) -> None:
    assert SEEDS.seed("debian", platform).packages == expected


def test_restrictions_may_be_wildcards() -> None:
    written = ("a [any]", "b [linux-any]", "c [any-arm64]", "d [!any]", "e[arm64]", "f [ armhf  arm64 ]")
    assert packages_for(ARM, written) == ("a", "b", "c", "e", "f")
    assert packages_for("linux/amd64", written) == ("a", "b")


def test_sources_may_be_for_one_platform() -> None:
    sources = (
        Source("https://x/a", "a" * 64, rename="a", platforms=(ARM,)),
        Source("https://x/b", "b" * 64, rename="b"),
    )
    spec = package("lib/libc", requires=requires("seed/base"), steps=("l",), sources=sources)
    wanted = [name for name in plan(BASE, spec, target="lib/libc").nodes if name.startswith("source:")]
    others = plan(BASE, spec, target="lib/libc", platform="linux/amd64").nodes
    assert [name.split(":")[1] for name in wanted] == ["a", "b"]
    assert [name.split(":")[1] for name in others if name.startswith("source:")] == ["b"]


def test_files_are_copied_from_what_is_made_for_the_target() -> None:
    copy = (CopyFrom(requires("lib/libc")[0], "", "/out", "/luetbuild/libc"),)
    cross = package("app/cross", requires=requires("seed/base"), steps=("c",), copy=copy, cross=True)
    emulated = package("app/emulated", requires=requires("seed/base"), steps=("c",), copy=copy)
    assert "lib/libc-1@arm64" in plan(*ALL, cross, target="app/cross").nodes
    made = plan(*ALL, emulated, target="app/emulated")
    assert job(made, "lib/libc-1@arm64").target == ARM and job(made, "app/emulated-1@arm64").platform == ARM


def test_an_accelerator_lies_on_emulated_roots_only_while_they_build() -> None:
    compiler = package("native/gcc", requires=requires("seed/base"), steps=("n",), package_dir="/out")
    on_top = package("app/more", requires=requires("dev/tool"), steps=("m",))
    slow = package("app/slow", requires=requires("dev/tool"), steps=("s",), accelerate=False)
    platforms = Platforms("linux/amd64", ("linux/amd64",), ((ARM, requires("native/gcc")[0]),))
    packages = (*ALL, compiler, on_top, slow)
    made = plan(*packages, target="app/more", platforms=platforms)
    layers = {name: [ref.node for ref in job(made, name).layers] for name in ("dev/tool-1@arm64", "app/more-1@arm64")}
    assert layers["dev/tool-1@arm64"] == ["seed:bookworm+2@arm64", "native/gcc-1:unpacked"]
    assert layers["app/more-1@arm64"] == ["seed:bookworm+2@arm64", "dev/tool-1@arm64", "native/gcc-1:unpacked"]
    assert job(made, "native/gcc-1").platform == "linux/amd64"
    plain = plan(*packages, target="app/slow", platforms=platforms)
    assert [ref.node for ref in job(plain, "app/slow-1@arm64").layers] == ["seed:bookworm+2@arm64", "dev/tool-1@arm64"]
    assert "native/gcc-1:unpacked" not in plan(*packages, target="app/app", platforms=platforms).nodes


def test_an_accelerator_that_is_in_no_tree_is_told_as_such() -> None:
    platforms = Platforms("linux/amd64", ("linux/amd64",), ((ARM, requires("native/gcc")[0]),))
    made = plan(*ALL, target="dev/tool", platforms=platforms)
    (problem,) = made.problems
    assert problem.code == "missing-accelerator" and problem.package == "dev/tool-1"
    assert "native/gcc" in problem.message and "--no-accelerator" in problem.hint
    assert plan(*ALL, target="app/app", platforms=platforms).problems == ()


def test_a_package_for_other_platforms_is_a_problem() -> None:
    only = package("app/only", requires=requires("seed/base"), steps=("o",), platforms=("linux/amd64",))
    made = plan(BASE, only, target="app/only")
    assert [problem.code for problem in made.problems] == ["wrong-platform"] and made.unplanned == ("app/only-1",)
