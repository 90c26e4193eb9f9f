# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm anise box``: a command with another root as ``/``."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import Any

import click

from farm.cli.anise.flags import persistent
from farm.cli.pflag import GoCommand, GoGroup, switch

COMMANDS = {"exec": ("farm.cli.anise.box", "Run a command in a root.")}


@click.group("box", cls=GoGroup, table=COMMANDS)
@persistent
def box(**_options: Any) -> None:
    """Run a command in a root."""


@click.command("exec", cls=GoCommand)
@click.argument("arguments", nargs=-1)
@click.option("--rootfs", type=click.Path(path_type=Path), default=Path(), help="The root (default: this folder).")
@switch("--stdin", help="Give it standard input.")
@switch("--stdout", default=True, help="Show what it writes.")
@switch("--stderr", default=True, help="Show its errors.")
@switch("--decode", help="The arguments are base64.")
@click.option("--env", "-e", multiple=True, metavar="KEY=VALUE", help="A variable of its environment.")
@click.option("--mount", "-m", multiple=True, metavar="PATH", help="A folder of the host that it sees too.")
@click.option("--entrypoint", default="/bin/sh", show_default=True, help="The program.")
@persistent
@click.pass_context
def exec(context: click.Context, /, arguments: tuple[str, ...], rootfs: Path, **options: Any) -> None:
    """Run the entrypoint with ARGUMENTS in namespaces of its own, with a root as /; the exit status is its own."""
    from farm.client.box import run_box

    if options["decode"]:
        try:
            arguments = tuple(base64.b64decode(text, validate=True).decode() for text in arguments)
        except (binascii.Error, UnicodeDecodeError) as fault:
            raise click.BadParameter(f"no base64: {fault}", context) from fault
    argv = [options["entrypoint"], *arguments]
    streams = {name for name in ("stdin", "stdout", "stderr") if options[name]}
    context.exit(
        run_box(rootfs, argv, dict(text.partition("=")[::2] for text in options["env"]), options["mount"], streams)
    )
