# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm anise-build tree validate``: whether all that packages need is there, and whether they can be built."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from farm.cli.anise_build.flags import persistent
from farm.cli.anise_build.pkglist import Chosen
from farm.cli.pflag import GoCommand, switch, words

if TYPE_CHECKING:
    from farm.spec.model import Package, Requirement, Tree
    from farm.spec.solver import Index


@click.command("validate", cls=GoCommand)
@words("--tree", "-t", help="A spec tree (default: the working directory).")
@words("--values", help="Value files; later ones win.")
@switch("--only-runtime", help="Only what packages need where they are installed.")
@switch("--only-buildtime", help="Only what packages need to be built.")
@switch("--with-solver", "-s", help="Also whether the requirements can be met together.")
@words("--matches", "-m", help="Only packages that this regular expression matches.")
@words("--exclude", "-e", help="Without packages that this regular expression matches.")
@persistent
@click.pass_context
def validate(context: click.Context, /, **options: Any) -> None:
    """Check spec trees. The exit status is 0 when all is good, else 1."""
    from farm.cli.anise_build.surroundings import open_session
    from farm.cli.show import print_problems
    from farm.spec.problem import error

    if options["only_runtime"] and options["only_buildtime"]:
        raise error("bad-options", "--only-runtime and --only-buildtime exclude each other")
    tree = open_session(context, options).tree
    nameless = [problem for problem in tree.problems if problem.package is None and problem.severity == "error"]
    print_problems(nameless)
    kinds = [kind for kind in (_Runtime, _Buildtime) if not options[f"only_{kind.other}"]]
    checks = [kind(tree, options["with_solver"]) for kind in kinds]
    chosen = Chosen(options["matches"], options["exclude"])
    broken: dict[str, list[str]] = {}
    for id, package in sorted(tree.packages.items()):
        if chosen.has(str(id)):
            found = [line for check in checks for line in check.told(package)]
            broken |= {str(id): found} if found else {}
    _conclude(broken, len(nameless))


def _conclude(broken: dict[str, list[str]], nameless: int) -> None:
    lines = sorted(line for found in broken.values() for line in found)
    for line in lines:
        click.echo(line)
    if not lines and not nameless:
        click.echo("All good!")
        return
    missing = sum("Broken Dep" in line for line in lines)
    click.echo(f"Found {len(broken)} broken packages and {missing} broken deps.")
    click.echo(f"Errors: {len(lines) + nameless}")
    raise SystemExit(1)


class _Runtime:
    """What clients need to install a package."""

    name, other = "runtime", "buildtime"

    def __init__(self, tree: Tree, solving: bool) -> None:
        self.tree = tree
        self.solving = solving
        self.index: Index[Any] = self.make_index()

    def told(self, package: Package) -> Iterator[str]:
        """Says that the package is looked at; the lines on what is wrong with it."""
        wanted = self.requirements(package)
        head = f"[{self.name:>9}]"
        conflicts = len(package.conflicts)
        click.echo(f"{head} Checking package {package.id} with {len(wanted)} dependencies and {conflicts} conflicts.")
        yield from (f"{head} {package.id}: {line}" for line in self.broken(package))
        missing = [one for one in wanted if not self.index.fitting(one)]
        for one in missing:
            yield f"{head} {package.id}: Broken Dep {one.atom}-{one.version} - No packages"
        if self.solving and not missing:
            yield from (f"{head} {package.id}: solver broken: {line}" for line in self._unsolved(package))

    def make_index(self) -> Index[Any]:
        """All packages, as this check sees them."""
        from farm.spec.solver import Index

        return Index(self.tree.packages.values())

    def requirements(self, package: Package) -> Sequence[Requirement]:
        """What it needs."""
        return package.requires

    def broken(self, _package: Package) -> Iterator[str]:
        """What is wrong with the package's own files."""
        yield from ()

    def _unsolved(self, package: Package) -> Iterator[str]:
        """Why its requirements cannot be met together."""
        from farm.spec.problem import FarmError
        from farm.spec.solver import solve

        try:
            solve(self.index, [package.id])
        except FarmError as failure:
            yield from (problem.message for problem in failure.problems)


class _Buildtime(_Runtime):
    """What a package needs to be built."""

    name, other = "buildtime", "runtime"

    def make_index(self) -> Index[Any]:
        """All packages, with what their build.yaml says in the place of their definition."""
        from farm.plan.make import BuildView
        from farm.spec.solver import Index

        return Index([BuildView(package) for package in self.tree.packages.values()])

    def requirements(self, package: Package) -> Sequence[Requirement]:
        """What its root is made of, and what it copies from."""
        copies = package.build.copy if package.build else ()
        return [*package.build_requires, *(copy.package for copy in copies if copy.package)]

    def broken(self, package: Package) -> Iterator[str]:
        """What stops its build."""
        wrong = [p for p in self.tree.problems if p.severity == "error" and p.package == str(package.id)]
        yield from (f"{problem.place}: {problem.message}" for problem in wrong)
        if package.build is None and not wrong:
            yield "there is no build.yaml"
