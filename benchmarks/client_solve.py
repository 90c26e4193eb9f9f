# SPDX-License-Identifier: GPL-3.0-or-later
"""How long the client takes to find a change, on a wagon shaped like the largest public one.

    python benchmarks/client_solve.py --packages 3246 --files 150

makes the packages of `synthetic_tree`, publishes their metadata as a wagon, and measures, in seconds of CPU time:
reading the wagon; installing what draws in most into an empty root, into one that has two thirds of everything, and
upgrading that root to a wagon in which a third of the packages have a new version.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import random
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import zstandard
from synthetic_tree import Item, make_items

from farm.client.catalog import Catalog
from farm.client.config import RepositoryConfig
from farm.client.database import Database, Installed
from farm.client.masks import Masks
from farm.client.solve import Change, plan_install, plan_remove, plan_upgrade
from farm.wagon.metadata import Metadata
from farm.wagon.reading import Wagon, open_wagon
from farm.wagon.repository import RepoFile, Repository

T = TypeVar("T")


def metadata(item: Item, version: str, files: int) -> Metadata:
    """What a wagon says of a package."""
    name = f"{item.name}-{item.category}-{version}.package.tar.zst"
    requires = [{"name": r.name, "category": r.category, "version": f">={r.version}"} for r in item.requires]
    number = int(item.name[1:5])
    provides = [{"name": f"v{number:04d}", "category": "virtual", "version": "1"}] if number % 125 == 7 else []
    return Metadata(
        name,
        {"sha256": hashlib.sha256(name.encode()).hexdigest()},
        files=tuple(f"usr/share/{item.name}/file-{n}" for n in range(files)),
        runtime={
            "name": item.name,
            "category": item.category,
            "version": version,
            "requires": requires,
            "provides": provides,
            "labels": {"emerge.packages": f"{item.category}/{item.name}"},
        },
    )


def publish(folder: Path, packages: list[Metadata]) -> None:
    """A wagon of these packages, without their tarballs."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for one in packages:
            where = f"{one.id.category}/{one.id.name}/{one.id.version}"
            text = "".join(f'{key}: "{one.runtime[key]}"\n' for key in ("name", "category", "version")).encode()
            for name, content in (("definition.yaml", text), ("metadata.json", one.to_json())):
                member = tarfile.TarInfo(f"{where}/{name}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    content = zstandard.compress(raw.getvalue())
    folder.mkdir()
    (folder / "tree.tar.zst").write_bytes(content)
    files = {"treev2": RepoFile("tree.tar.zst", hashlib.sha256(content).hexdigest())}
    repository = Repository("synthetic", type="disk", last_update="1", repo_files=files)
    (folder / "repository.yaml").write_bytes(repository.to_yaml())


def timed(what: str, work: Callable[[], T]) -> T:
    """The result of ``work``, whose CPU and wall time are printed."""
    cpu, wall = time.process_time(), time.monotonic()
    result = work()
    size = ""
    if isinstance(result, Change):
        size = f"{len(result.install)} new, {len(result.replace)} replaced, {len(result.remove)} removed"
    print(f"{what:44} {time.process_time() - cpu:6.2f} s CPU  {time.monotonic() - wall:6.2f} s wall  {size}")
    return result


def installed(packages: Iterator[Metadata]) -> Iterator[Installed]:
    """Packages as a database has them."""
    for one in packages:
        yield Installed(one.id, "synthetic", one.runtime, one.files)


def catalog(wagon: Wagon) -> Catalog:
    """The wagon as the only repository."""
    return Catalog.of([(RepositoryConfig("synthetic"), wagon)], Masks())


def closure(item: Item, known: dict[str, set[str]]) -> set[str]:
    """Names of all that a package needs."""
    if item.name not in known:
        known[item.name] = {item.name}.union(*(closure(below, known) for below in item.requires))
    return known[item.name]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Measure the client's solver.")
    parser.add_argument("--packages", type=int, default=3246)
    parser.add_argument("--files", type=int, default=150)
    arguments = parser.parse_args()
    items = make_items(arguments.packages, random.Random(1))
    known: dict[str, set[str]] = {}
    hub = Item(9999, 1, random.Random(1))
    hub.requires = items[-400:]
    items.append(hub)
    with tempfile.TemporaryDirectory() as temporary:
        old, new = Path(temporary, "old"), Path(temporary, "new")
        publish(old, [metadata(item, item.version, arguments.files) for item in items])
        newer = [metadata(item, item.version + ("-r7" if n % 3 == 1 else ""), 1) for n, item in enumerate(items)]
        publish(new, [one for one in newer if "-r2-r7" not in one.path])
        measure(Path(temporary), items, hub, open_wagon(new), len(closure(hub, known)))


def measure(folder: Path, items: list[Item], hub: Item, newer: Wagon, size: int) -> None:
    """Prints all figures."""
    wagon = timed("read the wagon", lambda: open_wagon(folder / "old"))
    offered = timed("catalogue", lambda: catalog(wagon))
    target = f"{hub.category}/{hub.name}"
    print(f"{target} draws in {size} packages")
    with Database(folder / "empty.sqlite") as database:
        timed("install into an empty root", lambda: plan_install(offered, database, [target]))
    there = [item for n, item in enumerate(items) if n % 3]
    with Database(folder / "full.sqlite") as database:
        with database.transaction():
            for one in installed(metadata(item, item.version, 3) for item in there):
                database.add(one)
        timed(f"install into a root with {len(there)} packages", lambda: plan_install(offered, database, [target]))
        timed("upgrade that root", lambda: plan_upgrade(catalog(newer), database))
        base = f"{there[0].category}/{there[0].name}"
        timed("remove its deepest package", lambda: plan_remove(database, [base]))


if __name__ == "__main__":
    main()
