# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm anise-build serve-repo``: a wagon over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from farm.cli.anise_build.flags import FOLDER, persistent
from farm.cli.pflag import GoCommand


@click.command("serve-repo", cls=GoCommand)
@click.option("--dir", "folder", type=FOLDER, default=".", help="The wagon's folder (default: this one).")
@click.option("--address", default="0.0.0.0", show_default=True, help="Where to listen.")
@click.option("--port", type=int, default=9090, show_default=True, help="The port to listen on.")
@persistent
@click.pass_context
def serve_repo(_context: click.Context, /, folder: Path, address: str, port: int, **_options: Any) -> None:
    """Serve a wagon over HTTP until it is stopped."""
    from farm.spec.problem import error
    from farm.wagon.serve import serve_until_stopped

    if not folder.is_dir():
        raise error("missing-folder", f"no such folder: {folder}", hint="give it with --dir")
    serve_until_stopped(folder, address, port, lambda url: click.echo(f"Serving {folder} on HTTP port: {port}"))
