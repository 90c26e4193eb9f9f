# SPDX-License-Identifier: GPL-3.0-or-later
"""Going back, throwing away, comparing and verifying; and what a kill leaves."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from workshop import Workshop

from farm.spec.model import PackageId
from farm.spec.problem import FarmError
from farm.wagon.check import check_wagon
from farm.wagon.difference import compare
from farm.wagon.prune import prune
from farm.wagon.reading import Wagon
from farm.wagon.revisions import WagonFolder
from farm.wagon.rollback import roll_back

GREET = PackageId("lib", "greet", "1.0")


def refused(work: object) -> list[str]:
    """Codes of the problems."""
    with pytest.raises(FarmError) as caught:
        work()  # type: ignore[operator]
    return [problem.code for problem in caught.value.problems]


def at(workshop: Workshop, revision: int) -> Wagon:
    """An earlier revision."""
    folder = WagonFolder(workshop.output)
    return Wagon.parse(folder.content(revision), folder.open_file)


def test_back_to_the_last_but_one(workshop: Workshop) -> None:
    workshop.create()
    workshop.define("lib/greet", "2.0")
    workshop.build("lib/greet", "2.0")
    workshop.create()
    done = roll_back(workshop.output)
    assert done.revision == 3
    assert [str(id) for id in workshop.wagon().packages if id.name == "greet"] == ["lib/greet-1.0"]
    roll_back(workshop.output, 2)
    assert PackageId("lib", "greet", "2.0") in workshop.wagon().packages
    assert check_wagon(workshop.output, (), signature=False).problems == ()


def test_no_way_back(workshop: Workshop) -> None:
    assert refused(lambda: roll_back(workshop.root)) == ["no-wagon"]
    workshop.create()
    assert refused(lambda: roll_back(workshop.output)) == ["no-revision"]
    assert refused(lambda: roll_back(workshop.output, 7)) == ["no-revision"]
    workshop.define("lib/greet", description="new")
    workshop.create()
    (workshop.output / "greet-lib-1.0.package.tar.zst").write_bytes(b"other")
    (workshop.output / "greeter-app-1.0.package.tar.zst").unlink()
    assert refused(lambda: roll_back(workshop.output)) == ["rollback-incomplete", "rollback-incomplete"]
    assert workshop.wagon().repository.revision == 2


def test_what_differs(workshop: Workshop) -> None:
    workshop.create(description="one")
    workshop.define("app/greeter", requires=[], labels={"a": "b"})
    workshop.both("lib/new")
    for version in ("1.0", "2.0"):
        workshop.define("lib/greet", version)
    (workshop.tree / "lib" / "greet-1.0" / "definition.yaml").unlink()
    workshop.build("lib/greet", "2.0")
    workshop.build("app/editor", files={"usr/bin/editor": "rebuilt"})
    workshop.create(description="two")
    assert compare(at(workshop, 1), workshop.wagon()).to_json() == {
        "added": ["lib/new-1.0"],
        "removed": [],
        "upgraded": [{"from": "lib/greet-1.0", "to": "lib/greet-2.0"}],
        "rebuilt": ["app/editor-1.0"],
        "redefined": [{"package": "app/greeter-1.0", "keys": ["labels", "requires"]}],
        "repository": ["description"],
    }
    assert not compare(workshop.wagon(), workshop.wagon())


def test_pruning(workshop: Workshop) -> None:
    for version in ("1.0", "1.10", "1.9"):
        workshop.define("lib/greet", version)
        workshop.build("lib/greet", version)
        workshop.create(keep=10)
        (workshop.tree / "lib" / f"greet-{version}" / "definition.yaml").unlink()
        if version == "1.0":
            (workshop.tree / "lib" / "greet-1.0").rmdir()
    dry = prune(workshop.output, versions=1, keep=1, grace=0, dry_run=True)
    assert dry.revisions == (1, 2)
    assert {name for name in dry.files if name.startswith("greet-lib")} == {
        "greet-lib-1.0.metadata.yaml",
        "greet-lib-1.0.package.tar.zst",
    }
    assert (workshop.output / "greet-lib-1.0.package.tar.zst").exists()
    done = prune(workshop.output, versions=1, keep=1, grace=0)
    assert (done.revisions, done.files) == (dry.revisions, dry.files)
    assert done.size > 0
    names = {path.name for path in workshop.output.glob("greet-lib-*.tar.zst")}
    # 1.9 is offered, 1.10 is the highest
    assert names == {"greet-lib-1.10.package.tar.zst", "greet-lib-1.9.package.tar.zst"}
    assert check_wagon(workshop.output, (), signature=False).problems == ()
    assert len(list(workshop.output.glob("tree-*"))) == 1


def test_pruning_keeps_what_kept_revisions_need(workshop: Workshop) -> None:
    workshop.create()
    workshop.build("lib/greet", files={"usr/bin/greet": "rebuilt"})
    workshop.create()
    assert prune(workshop.output, versions=0, keep=2, grace=0).files == ()
    roll_back(workshop.output, 1)
    assert check_wagon(workshop.output, (), signature=False).problems == ()
    tree = at(workshop, 2).repository.repo_files["treev2"].filename
    (workshop.output / tree).write_bytes(b"damaged")
    assert refused(lambda: prune(workshop.output, versions=0, keep=3, grace=0)) == ["wagon-digest-mismatch"]


def test_verifying_finds_everything(workshop: Workshop) -> None:
    workshop.create(compilertree=True)
    verdict = check_wagon(workshop.output, (), signature=False)
    assert (verdict.revision, verdict.packages, verdict.problems) == (1, 3, ())
    (workshop.output / "greet-lib-1.0.package.tar.zst").unlink()
    (workshop.output / "greeter-app-1.0.metadata.yaml").write_bytes(b"other")
    next(workshop.output.glob("compilertree-*")).write_bytes(b"other")
    codes = sorted(problem.code for problem in check_wagon(workshop.output, (), signature=False).problems)
    assert codes == ["missing-tarball", "package-digest-mismatch", "wagon-digest-mismatch"]
    assert check_wagon(workshop.output, (), signature=True).problems[0].code == "no-signature"
    next(workshop.output.glob("tree-*")).unlink()
    assert [p.code for p in check_wagon(workshop.output, (), signature=False).problems] == ["wagon-file-missing"]


def test_the_sample_wagon_is_sound(samples: Path) -> None:
    assert check_wagon(samples / "go", (), signature=False).problems == ()


BUMPS = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from workshop import Workshop
shop = Workshop(Path({root!r}))
for number in range({start}, {start} + 10_000):
    shop.build("lib/greet", files={{"usr/bin/greet": str(number)}})
    shop.create(description=str(number), keep=3, bump_changed=number % 2 == 0)
    print(number, flush=True)
"""


def test_killed_at_any_moment_it_is_the_old_or_the_new(workshop: Workshop) -> None:
    workshop.create()
    revision, chance = 1, random.Random(7)
    for kill in range(12):
        tests = str(Path(__file__).parent)
        code = BUMPS.format(tests=tests, root=str(workshop.root), start=kill * 10_000)
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(chance.uniform(0, 0.1))
            os.kill(process.pid, signal.SIGKILL)
        verdict = check_wagon(workshop.output, (), signature=False)
        assert verdict.problems == ()
        assert verdict.revision > revision
        revision = verdict.revision
    workshop.build("lib/greet", files={"usr/bin/greet": "last"})
    assert workshop.create().repository.revision == revision + 1
    assert not list(workshop.output.rglob(".part*"))
