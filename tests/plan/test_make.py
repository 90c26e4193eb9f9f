# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan consists of, from trees written out in Python."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from farm.plan.images import Images
from farm.plan.job import ArchiveInput, Assemble, CopyInput, FileInput, Job, Made, Pack, Seed, Unpack
from farm.plan.make import Options, make_plan
from farm.plan.node import Plan, Result, key_document, key_of
from farm.spec.model import Build, CopyFrom, Package, PackageId, Requirement, Source, SpecFile, Tree
from farm.spec.problem import Place

SEEDS = Images({"debian": Seed("debootstrap", suite="bookworm")})
OPTIONS = Options(images=SEEDS)


def package(name: str, version: str = "1.0", files: tuple[SpecFile, ...] = (), **build: Any) -> Package:
    category, _, short = name.partition("/")
    return Package(PackageId(category, short, version), build=Build(**build), files=files, place=Place(f"{name}.yaml"))


def requires(*names: str) -> tuple[Requirement, ...]:
    return tuple(Requirement(*name.split("/"), ">=0") for name in names)


def tree(*packages: Package) -> Tree:
    return Tree({p.id: p for p in packages})


def plan(*packages: Package, options: Options = OPTIONS, targets: tuple[str, ...] = ()) -> Plan:
    wanted = [p.id for p in packages if not targets or p.id.atom in targets]
    return make_plan(tree(*packages), wanted, options)


def job(made: Plan, name: str) -> Job:
    action = made.nodes[name].action
    assert isinstance(action, Job)
    return action


def pack(made: Plan, name: str) -> Pack:
    action = made.nodes[f"{name}:package"].action
    assert isinstance(action, Pack)
    return action


BASE = package("seed/base", image="debian", prelude=("true",))


def test_image_is_a_seed_below_the_job() -> None:
    made = plan(BASE)
    assert job(made, "seed/base-1.0").layers == (Made("seed:bookworm+0", "layer"),)
    assert pack(made, "seed/base-1.0").rule == "empty"
    assert made.targets == ("seed/base-1.0:package",)


def test_chain_and_diamond_are_unions_built_once() -> None:
    left = package("lib/left", requires=requires("seed/base"), steps=("l",))
    right = package("lib/right", requires=requires("seed/base"), steps=("r",))
    top = package("app/top", requires=requires("lib/right", "lib/left"), steps=("t",))
    made = plan(BASE, left, right, top)
    assert [ref.node for ref in job(made, "app/top-1.0").layers] == [
        "seed:bookworm+0",
        "seed/base-1.0",
        "lib/left-1.0",
        "lib/right-1.0",
    ]
    assert [ref.node for ref in job(made, "lib/right-1.0").layers] == ["seed:bookworm+0", "seed/base-1.0"]
    assert sum(isinstance(node.action, Job) for node in made.nodes.values()) == 4


def test_nodes_come_after_their_needs() -> None:
    top = package("app/top", requires=requires("seed/base"), steps=("t",))
    made = plan(top, BASE)
    seen: set[str] = set()
    for name, node in made.nodes.items():
        assert set(node.needs) <= seen
        seen.add(name)


def test_delta_with_a_prelude_takes_two_jobs() -> None:
    made = plan(BASE, package("lib/a", requires=requires("seed/base"), prelude=("p",), steps=("s",)))
    first, second = job(made, "lib/a-1.0:prelude"), job(made, "lib/a-1.0")
    assert (first.commands, second.commands) == (("p",), ("s",))
    assert first.keep_workdir and not second.keep_workdir
    assert second.layers == (*first.layers, Made("lib/a-1.0:prelude", "layer"))
    assert first.layers[-1] == Made("lib/a-1.0:workdir", "layer")
    assert not first.fresh_workdir and not second.fresh_workdir
    assert pack(made, "lib/a-1.0").layers == (Made("lib/a-1.0", "layer"),)


def test_package_dir_takes_one_job() -> None:
    made = plan(package("lib/a", image="debian", prelude=("p",), steps=("s",), package_dir="/out/", excludes=("^/x",)))
    assert job(made, "lib/a-1.0").commands == ("p", "s")
    assert pack(made, "lib/a-1.0").root == "/out"
    assert pack(made, "lib/a-1.0").excludes == ("^/x",)
    assert len(pack(made, "lib/a-1.0").layers) == 2


def test_join_is_made_of_packages() -> None:
    virtual = package("virtual/v")
    a = package("lib/a", image="debian", steps=("a",), env=("A=1",))
    top = package(
        "app/top", requires=requires("lib/a", "virtual/v"), requires_final_images=True, unpack=True, steps=("t",)
    )
    made = plan(a, virtual, top)
    assert job(made, "app/top-1.0").layers == (Made("lib/a-1.0:unpacked", "layer"),)
    assert made.nodes["lib/a-1.0:unpacked"].action == Unpack(Made("lib/a-1.0:package", "package"))
    assert "A=1" not in made.nodes["app/top-1.0"].env
    assert pack(made, "app/top-1.0").rule == "root"


def test_env_reaches_what_is_built_on_top() -> None:
    low = package("lib/low", image="debian", steps=("l",), env=("CFLAGS=-O2", "X=$PACKAGE_NAME"))
    top = package("app/top", "2.0", requires=requires("lib/low"), steps=("t",), env=('CFLAGS="$CFLAGS -g"',))
    made = plan(low, top)
    results = {name: Result(layer="0" * 64, package="1" * 64, env=(("FROM_IMAGE", "1"),)) for name in made.nodes}
    action = made.nodes["app/top-2.0"].resolve(results)
    assert isinstance(action, Job)
    env = dict(action.env)
    assert env["CFLAGS"] == "-O2 -g"
    assert (env["X"], env["PACKAGE_NAME"], env["PACKAGE_VERSION"], env["PACKAGE_CATEGORY"]) == (
        "low",
        "top",
        "2.0",
        "app",
    )
    assert env["FROM_IMAGE"] == "1"
    assert env["SOURCE_DATE_EPOCH"] == str(action.epoch)


def test_epoch_follows_the_environment() -> None:
    made = plan(package("lib/a", image="debian", steps=("a",), env=("SOURCE_DATE_EPOCH=1800000000",)))
    assert job(made, "lib/a-1.0").epoch == 1800000000
    assert pack(made, "lib/a-1.0").epoch == 1800000000


def test_spec_files_come_in_only_when_named() -> None:
    files = tuple(
        SpecFile(name, "a" * 64, 0o644, origin=f"/t/{name}") for name in ("build.yaml", "definition.yaml", "main.c")
    )
    made = plan(package("lib/a", files=files, image="debian", steps=("grep x definition.yaml",)))
    dests = [item.dest for item in job(made, "lib/a-1.0").inputs if isinstance(item, FileInput)]
    assert dests == ["/luetbuild/definition.yaml", "/luetbuild/main.c"]


def test_sources() -> None:
    sources = (
        Source("https://example.invalid/a.tar.gz", "a" * 64, ("apt:pool/a",), "src", 1, "a.tar.gz"),
        Source("https://example.invalid/b.bin", "b" * 64, rename="b"),
    )
    made = plan(package("lib/a", image="debian", steps=("a",), sources=sources))
    names = [f"source:a.tar.gz:{'a' * 12}", f"source:b:{'b' * 12}"]
    assert job(made, "lib/a-1.0").inputs == (
        ArchiveInput(Made(names[0], "blob"), "/luetbuild/src", 1),
        FileInput("/luetbuild/b", Made(names[1], "blob")),
    )


def test_copy_outside_the_workdir_is_a_layer() -> None:
    a = package("lib/a", image="debian", steps=("a",))
    copies = (
        CopyFrom(Requirement("lib", "a", ">=0"), "", "/usr/bin/x", "/bin/"),
        CopyFrom(None, "debian", "etc/issue", "issue"),
    )
    made = plan(a, package("app/b", image="scratch", copy=copies, steps=("b",)))
    below = (Made("seed:bookworm+0", "layer"), Made("lib/a-1.0", "layer"))
    assert made.nodes["app/b-1.0:copy"].action == Assemble((), (CopyInput(below, "/usr/bin/x", "/bin/"),))
    assert job(made, "app/b-1.0").layers == (Made("app/b-1.0:copy", "layer"),)
    assert job(made, "app/b-1.0").inputs == (CopyInput(below[:1], "/etc/issue", "/luetbuild/issue"),)


def test_retrieve_is_a_dependency() -> None:
    a = package("lib/a", image="debian", steps=("a",))
    made = plan(
        a, package("app/b", image="debian", retrieve=("a-lib-*.package.tar*",), steps=("b",)), targets=("app/b",)
    )
    wanted = FileInput("/luetbuild/a-lib-1.0.package.tar.zst", Made("lib/a-1.0:package", "package"))
    assert job(made, "app/b-1.0").inputs == (wanted,)


def test_workdir_is_kept_where_it_is_needed() -> None:
    inside = package("lib/in", image="debian", steps=("a",), package_dir="/luetbuild/out")
    copied = package("lib/from", image="debian", steps=("a",))
    copy = CopyFrom(Requirement("lib", "from", ">=0"), "", "/luetbuild/x", "/x")
    made = plan(inside, copied, package("app/b", image="debian", copy=(copy,), steps=("b",)))
    assert job(made, "lib/in-1.0").keep_workdir
    assert job(made, "lib/from-1.0").keep_workdir
    assert not job(made, "app/b-1.0").keep_workdir


def test_versions_of_one_package_side_by_side() -> None:
    old, new = (package("lib/a", v, image="debian", steps=(v,)) for v in ("1.0", "2.0"))
    mid = package("lib/mid", requires=requires("lib/a"), steps=("m",))
    low = (Requirement("lib", "mid", ">=0"), Requirement("lib", "a", "<2"))
    made = plan(
        old,
        new,
        mid,
        package("app/low", requires=low, steps=("x",)),
        package("app/high", requires=requires("lib/mid"), steps=("x",)),
    )
    mids = [name for name, node in made.nodes.items() if isinstance(node.action, Job) and name.startswith("lib/mid")]
    assert len(mids) == 2
    assert {job(made, name).layers[-1].node for name in mids} == {"lib/a-1.0", "lib/a-2.0"}  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("broken", "code"),
    [
        (package("app/x", image="nothing", steps=("x",)), "unknown-image"),
        (package("app/x", requires=requires("lib/none"), steps=("x",)), "missing-requirement"),
        (package("app/x", image="debian", platforms=("linux/arm64",)), "wrong-platform"),
        (package("app/x", image="debian", retrieve=("https://x.invalid/a",), steps=("x",)), "retrieve-url"),
        (package("app/x", image="debian", retrieve=("nope-*",), steps=("x",)), "retrieve-nothing"),
        (package("app/x", image="debian", env=("oops",), steps=("x",)), "bad-env"),
        (package("app/x", image="debian", env=("SOURCE_DATE_EPOCH=soon",), steps=("x",)), "bad-env"),
        (package("app/x", image="debian", retrieve=("x-app-*",), steps=("x",)), "cycle"),
        (dataclasses.replace(package("app/x"), build=None), "missing-build"),
    ],
)
def test_a_bad_package_stops_only_what_needs_it(broken: Package, code: str) -> None:
    needs_it = package("app/y", requires=requires("app/x"), steps=("y",))
    good = package("app/z", image="debian", steps=("z",))
    made = plan(broken, needs_it, good)
    assert {problem.code for problem in made.problems} == {code}
    assert {problem.package for problem in made.problems} >= {"app/x-1.0"}
    assert made.targets == ("app/z-1.0:package",)
    assert made.unplanned == ("app/x-1.0", "app/y-1.0")
    assert not any("app/x" in name or "app/y" in name for name in made.nodes)


def test_key_documents_hold_only_what_is_set() -> None:
    document = key_document(Job(layers=("a" * 64,), steps=("x",)))
    assert document == {"kind": "job", "version": 1, "layers": ["a" * 64], "steps": ["x"], "platform": "linux/amd64"}
    assert key_of(document) == key_of(dict(reversed(document.items())))
    assert key_of(document) != key_of({**document, "steps": ["y"]})


def test_limits_and_origin_are_not_in_the_key() -> None:
    here = Job(inputs=(FileInput("/luetbuild/a", "a" * 64, origin="/here/a"),))
    there = Job(inputs=(FileInput("/luetbuild/a", "a" * 64, origin="/there/a"),))
    assert key_document(here) == key_document(there)


def test_where_an_archive_lies_is_not_in_the_key() -> None:
    here, there = (Seed("archive", url=url, sha256="a" * 64) for url in ("file:///a.tar", "https://b.invalid/b.tar"))
    assert key_document(here) == key_document(there)
