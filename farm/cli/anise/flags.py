# SPDX-License-Identifier: GPL-3.0-or-later
"""Flags that all commands of the client take, before or behind the command's name, and what they all come to."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from farm.cli.anise_build.flags import without_meaning
from farm.cli.pflag import switch

if TYPE_CHECKING:
    from farm.client.config import ClientConfig

Command = TypeVar("Command", bound=Callable[..., Any])

_OVERRIDING = ("system_target", "system_dbpath", "system_engine", "same_owner", "concurrency", "debug",
               "skip_config_protect", "overwrite_existing_dir_perms")  # fmt: skip


def persistent(command: Command) -> Command:
    """Adds the flags that every command takes."""
    file = click.Path(dir_okay=False, path_type=Path)
    for option in reversed((
        click.option("--config", type=file, help="The configuration file (luet.yaml, anise.yaml)."),
        switch("--debug", "-d", help="Say more."),
        click.option("--system-target", help="The root to work on."),
        click.option("--system-dbpath", help="Where the client's state is, in the root."),
        click.option("--system-engine", help="boltdb (kept, in SQLite) or memory."),
        switch("--same-owner", default=None, help="Keep the owners of files."),
        click.option("--concurrency", type=int, help="Things done at the same time."),
        switch("--skip-config-protect", default=None, help="Replace protected files too."),
        without_meaning(
            texts=("--logfile -l",), switches=("--fatal", "--enable-logfile", "--no-spinner", "--color", "--emoji")
        ),
    )):  # fmt: skip
        command = option(command)
    return command


def output_option(command: Command) -> Command:
    """Adds ``--output``."""
    kinds = click.Choice(["terminal", "json", "yaml"])
    return click.option("--output", "-o", type=kinds, default="terminal", help="terminal, json or yaml.")(command)


def client(context: click.Context, options: Mapping[str, Any] | None = None) -> ClientConfig:
    """The configuration that holds for a command: its flags, those before its name, environment, file, default.

    FarmError with all that is wrong in the files.
    """
    from farm.client.config import read_config

    given: dict[str, Any] = {}
    for level in reversed(list(_levels(context))):
        given |= {name: level.params[name] for name in ("config", *_OVERRIDING) if _is_given(level, name)}
    config = read_config(given.pop("config", None), given)
    envs = dict(config.finalizer_envs) | _pairs((options or {}).get("finalizer_env") or ())
    return dataclasses.replace(config, finalizer_envs=tuple(envs.items()))


def wished(options: Mapping[str, Any], name: str) -> bool:
    """Whether a switch is on: on the command line, or by ``LUET_NAME`` (``LUET_YES``, ``LUET_FORCE``, …)."""
    from os import environ

    written = environ.get(f"ANISE_{name.upper()}") or environ.get(f"LUET_{name.upper()}") or ""
    return bool(options.get(name)) or written.lower() in ("1", "t", "true", "yes")


class Contradiction(click.UsageError):
    """Flags that do not go together: the Go client ends with 1 then, other than for wrong flags."""

    exit_code = 1

    def __init__(self, context: click.Context, first: str, second: str) -> None:
        super().__init__(f"{first} and {second} do not go together", context)


def _levels(context: click.Context | None) -> Iterator[click.Context]:
    while context is not None:
        yield context
        context = context.parent


def _is_given(context: click.Context, name: str) -> bool:
    return name in context.params and context.get_parameter_source(name) is ParameterSource.COMMANDLINE


def _pairs(written: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for text in written:
        key, equals, value = text.partition("=")
        if not (key and equals):
            raise click.BadParameter(f"{text!r} is not KEY=VALUE", param_hint="--finalizer-env")
        found[key] = value
    return found
