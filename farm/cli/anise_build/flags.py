# SPDX-License-Identifier: GPL-3.0-or-later
"""Flags that all commands of anise-build take, and where the value of a flag comes from that was not given.

From high to low: the flag; the environment (``LUET_IMAGE__…``, ``ANISE_…``); the configuration file; the default.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from farm.cli.pflag import switch

if TYPE_CHECKING:
    from farm.client.configfile import Document

Command = TypeVar("Command", bound=Callable[..., Any])

FOLDER = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(dir_okay=False, path_type=Path)

KEYS = {
    "concurrency": "general.concurrency",
    "debug": "general.debug",
    "live_output": "general.show_build_output",
}
"""Option → key of the configuration, where that is not the option's own name."""

_GIVEN = "farm.cli.anise_build"


def persistent(command: Command) -> Command:
    """Adds the flags that may stand before and behind the name of a command."""
    options = (
        click.option("--config", type=FILE, is_eager=True, expose_value=False, callback=_configure,
                     help="The configuration file."),
        switch("--debug", "-d", help="Say more."),
        click.option("--concurrency", type=int, help="How many jobs run at a time (default: as many as cores)."),
        *(_without_meaning(*names) for names in (("--logfile", "-l"), ("--system-dbpath",), ("--system-target",),
                                                 ("--system-engine",), ("--plugin",))),
        *(switch(f"--{name}", help="Accepted, without meaning.") for name in SWITCHES),
    )  # fmt: skip
    for option in options:
        command = option(command)
    return command


SWITCHES = ("fatal", "enable-logfile", "no-spinner", "color", "emoji", "skip-config-protect", "same-owner")
"""Persistent switches that mean nothing here: there is no spinner, and every job's whole log is kept anyway."""


def _without_meaning(*names: str) -> Any:
    return click.option(*names, help="Accepted, without meaning.")


def document() -> Document:
    """The configuration that holds for the command that runs."""
    found: Document = click.get_current_context().meta[_GIVEN]["document"]
    return found
