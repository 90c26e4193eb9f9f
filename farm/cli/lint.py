# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm lint``: every problem of a spec tree, before anything is built."""

from __future__ import annotations

from pathlib import Path

import click

from farm.cli.session import Session, session_options
from farm.cli.show import plural, print_json, print_problems


@click.command()
@click.argument("trees", nargs=-1, type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="[TREE]...")
@session_options
@click.option("--strict", is_flag=True, help="Warnings fail, too.")
def lint(trees: tuple[Path, ...], strict: bool, **options: object) -> None:
    """Check spec trees and list every problem.

    The exit status is 0 when there is no error, 1 when there is one.
    """
    from farm.spec.lint import findings

    session = Session.of({**options, "tree": (*trees, *options["tree"])})  # type: ignore[misc]
    problems = findings(session.tree)
    errors = sum(problem.severity == "error" for problem in problems)
    if options["json"]:
        print_json({"packages": len(session.tree.packages), "problems": [p.to_json() for p in problems]})
    else:
        print_problems(problems, err=False)
        counts = f"{plural(errors, 'error')}, {plural(len(problems) - errors, 'warning')}"
        click.echo(f"{plural(len(session.tree.packages), 'package')}: {counts}")
    raise SystemExit(1 if errors or (strict and problems) else 0)
