# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm anise config``."""

from __future__ import annotations

import dataclasses
from typing import Any

import click

from farm.cli.anise.flags import client, persistent
from farm.cli.pflag import GoCommand


@click.command("config", cls=GoCommand)
@persistent
@click.pass_context
def config(context: click.Context, /, **_options: Any) -> None:
    """Print the configuration that holds: of flags, environment, files and defaults, as YAML."""
    import yaml

    found = client(context)
    data = {
        **found.document,
        "repositories": [_plain(one) for one in found.repositories],
        "subsets": {"enabled": [*found.subsets_enabled]},
        "finalizer_envs": [{"key": key, "value": value} for key, value in found.finalizer_envs],
    }
    click.echo(yaml.safe_dump(data, sort_keys=False, allow_unicode=True))


def _plain(repository: Any) -> dict[str, Any]:
    data = {key: value for key, value in dataclasses.asdict(repository).items() if value not in ("", (), {})}
    return {**data, "urls": [*repository.urls], "auth": dict.fromkeys(repository.auth, "…")}
