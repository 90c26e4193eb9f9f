# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm rootfs``: roots, tarballs and images out of packages."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from farm.cli.session import settings_of
from farm.cli.show import plural, print_problems
from farm.runner.rootless import ensure_privileges


@click.group()
def rootfs() -> None:
    """Make root file systems out of packages."""


@rootfs.command()
@click.option(
    "--wagon", "wagons", multiple=True, required=True, metavar="DIR|URL", help="First goes first; repeatable."
)
@click.option("--packages", "-p", multiple=True, required=True, metavar="PKG…", help="Targets, separated by commas.")
@click.option("--subsets", multiple=True, metavar="NAME…", help="Subsets to enable, separated by commas.")
@click.option("--key", default="", metavar="TEXT", help="The wagons have to be signed with this minisign key.")
@click.option("--finalizer-env", multiple=True, metavar="KEY=VALUE", help="A variable for finalizers; repeatable.")
@click.option("--skip-finalizers", is_flag=True, help="Do not run finalizers.")
@click.option("--cache", type=click.Path(file_okay=False, path_type=Path), help="Keep downloaded packages here.")
@click.option("--platform", default="", metavar="P", help="Refuse packages for others (default: the first one's).")
@click.argument("target", metavar="DIR|FILE.tar.zst|oci:DIR[:TAG]|docker:NAME[:TAG]")
def create(target: str, wagons: tuple[str, ...], **options: tuple[str, ...]) -> None:
    """Install packages, and what they need, into a new root: a folder, a tarball or an image."""
    ensure_privileges(sys.argv)
    from farm.cli.anise.screen import Screen
    from farm.client.rootfs import Wanted, create_rootfs

    cache = options["cache"]
    wanted = Wanted(
        wagons,
        _split(options["packages"]),
        _split(options["subsets"]),
        finalizer_envs=[_pair(text) for text in options["finalizer_env"]],
        finalizers=not options["skip_finalizers"],
        key=str(options["key"]),
        cache=cache if isinstance(cache, Path) else None,
        platform=settings_of({"platform": options["platform"]}).platform if options["platform"] else "",
    )
    with Screen() as screen:
        result = create_rootfs(wanted, target, report=screen)
    print_problems((*result.warnings, *result.failures))
    click.echo(f"{target}: {plural(len(result.installed), 'package')}")
    if result.failures:
        raise SystemExit(1)


def _split(texts: tuple[str, ...]) -> list[str]:
    return [word for text in texts for word in text.replace(",", " ").split()]


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise click.BadParameter(f"{text!r} is not KEY=VALUE")
    return name, value
