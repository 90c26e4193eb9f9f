# SPDX-License-Identifier: GPL-3.0-or-later
"""Flags that all commands of anise-build take, and where the value of a flag comes from that was not given.

From high to low: the flag; the environment (``LUET_VALUES``, ``ANISE_GENERAL__CONCURRENCY``, …); the configuration
file (``--config``, ``./.luet.yaml``, ``~/.luet.yaml``, ``/etc/luet/luet.yaml``, the same with ``anise``); the default.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
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
TREE = click.Path(file_okay=False)

KEYS = {
    "concurrency": "general.concurrency",
    "debug": "general.debug",
    "live_output": "general.show_build_output",
}
"""Option → key of the configuration, where that is not the option's own name."""

_META = "farm.cli.anise_build"
_NOTHING = "Accepted; means nothing here."


def persistent(command: Command) -> Command:
    """Adds the flags that may stand before and behind the name of a command."""
    settings = click.option(
        "--config", type=FILE, is_eager=True, expose_value=False, callback=_configure, help="The configuration file."
    )
    jobs = click.option("--concurrency", type=int, help="Jobs at a time (default: as many as cores).")
    nothing = without_meaning(
        texts=("--logfile -l", "--system-dbpath", "--system-target", "--system-engine", "--plugin"),
        switches=("--fatal", "--enable-logfile", "--no-spinner", "--color", "--emoji", "--skip-config-protect",
                  "--same-owner"),
    )  # fmt: skip
    return settings(switch("--debug", "-d", is_eager=True, help="Say more.")(jobs(nothing(command))))


def without_meaning(*, texts: Sequence[str] = (), switches: Sequence[str] = ()) -> Callable[[Command], Command]:
    """Adds flags that are accepted; ``--debug`` tells that they are ignored. ``texts`` have a value."""

    def add(command: Command) -> Command:
        for name in reversed(switches):
            command = switch(name, default=None, expose_value=False, callback=_note, help=_NOTHING)(command)
        for name in reversed(texts):
            command = click.option(*name.split(), multiple=True, expose_value=False, callback=_note, help=_NOTHING)(
                command
            )
        return command

    return add


def remember(context: click.Context, options: Mapping[str, Any]) -> None:
    """Keeps what was given before the name of the command that follows."""
    given = {name: value for name, value in options.items() if _given(context, name)}
    context.meta.setdefault(_META, {}).update(given)


def configuration(context: click.Context) -> Document:
    """The configuration that holds for the command."""
    found: Document = context.meta[f"{_META}.document"]
    return found


def config_file(context: click.Context) -> Path | None:
    """The file that ``--config`` named."""
    found: Path | None = context.meta.get(_META, {}).get("config")
    return found


def debug(context: click.Context, text: str) -> None:
    """Says something that only matters with ``--debug``."""
    if context.params.get("debug"):
        click.echo(f"debug: {text}", err=True)


def _note(context: click.Context, option: click.Parameter, _value: Any) -> None:
    if _given(context, option.name or ""):
        debug(context, f"{option.opts[0]} means nothing here and is ignored")


def _given(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) is ParameterSource.COMMANDLINE


def _configure(context: click.Context, _option: click.Parameter, path: Path | None) -> None:
    """Runs before all other flags are read: what the configuration says becomes their default."""
    given = context.meta.setdefault(_META, {})
    if path is not None:
        given["config"] = path
    if isinstance(context.command, click.Group):
        return
    document = _read(given.get("config"))
    context.meta[f"{_META}.document"] = document
    context.default_map = {**_defaults(context.command, document), **given}


def _read(path: Path | None) -> Document:
    from farm.client.configfile import Document, find_file, read_document
    from farm.spec.problem import FarmError, Problem

    problems: list[Problem] = []
    file = path or find_file(os.environ)
    data = read_document(file, problems) if file else {}
    if problems:
        raise FarmError(problems)
    return Document(data, "anise" if file and "anise" in file.name else "luet", {}, os.environ, problems)


def _defaults(command: click.Command, document: Document) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for option in command.params:
        name = option.name or ""
        value = document.value(KEYS.get(name, name.replace("_", "-")))
        value = document.value(name) if value is None else value
        if value is None or isinstance(value, Mapping) or not isinstance(option, click.Option):
            continue
        if option.multiple:
            found[name] = value.replace(",", " ").split() if isinstance(value, str) else [str(item) for item in value]
        elif not isinstance(value, list):
            found[name] = value
    return found
