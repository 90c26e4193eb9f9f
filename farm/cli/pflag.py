# SPDX-License-Identifier: GPL-3.0-or-later
"""Command lines that read their words as Go's pflag does, for commands that stand in for a Go program.

Source of the rules: github.com/spf13/pflag, "Command line flag syntax". A switch takes its value behind ``=`` only
(``--push=false``), short flags are written together (``-vm REGEX``), and wrong usage ends with status 255.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import click

from farm.cli.lazy import LazyGroup

Command = TypeVar("Command", bound=Callable[..., Any])


class WrongUsage(click.UsageError):
    """Wrong usage, with the status that cobra programs give: they call ``os.Exit(-1)``."""

    exit_code = 255


class GoCommand(click.Command):
    """A command with pflag's syntax."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Reads the words of the command line."""
        with _as_cobra():
            return super().parse_args(ctx, spelled_out(self, ctx, args))


class GoGroup(LazyGroup):
    """A group with pflag's syntax for the flags before the name of the command."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Reads the words before the command."""
        with _as_cobra():
            return super().parse_args(ctx, spelled_out(self, ctx, args, interspersed=False))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command of that name."""
        with _as_cobra():
            return super().resolve_command(ctx, args)


def switch(*names: str, help: str, **options: Any) -> Callable[[Command], Command]:
    """An option for a flag that is true or false (the default)."""
    return click.option(*names, type=bool, metavar="", help=help, **{"default": False, **options})


def words(*names: str, help: str) -> Callable[[Command], Command]:
    """An option for a flag that may be given several times, and several values at once between commas."""

    def split(_context: click.Context, _option: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(part for value in values for part in value.split(",") if part)

    return click.option(*names, multiple=True, callback=split, help=help)


def spelled_out(command: click.Command, ctx: click.Context, args: list[str], *, interspersed: bool = True) -> list[str]:
    """The same words, with one ``--flag=value`` for each flag that the command knows; the others are left as they are.

    Where flags and arguments are not ``interspersed``, flags end at the first argument.
    """
    flags = {name: option for option in command.get_params(ctx) for name in option.opts if name.startswith("-")}
    out: list[str] = []
    waiting = list(reversed(args))
    while waiting:
        word = waiting.pop()
        if word == "--" or (not interspersed and not word.startswith("-")):
            return [*out, word, *reversed(waiting)]
        if word.startswith("--"):
            out += _long(word, flags, waiting)
        elif word.startswith("-") and word != "-":
            out += _short(word, flags, waiting)
        else:
            out.append(word)
    return out


def _long(word: str, flags: Mapping[str, click.Parameter], waiting: list[str]) -> list[str]:
    name, equals, _ = word.partition("=")
    if equals or name not in flags or _bare(flags[name]):
        return [word]
    if _is_switch(flags[name]):
        return [f"{name}=true"]
    return [f"{name}={waiting.pop()}"] if waiting else [word]


def _short(word: str, flags: Mapping[str, click.Parameter], waiting: list[str]) -> list[str]:
    """One or more short flags, the last of which may have its value behind it."""
    out: list[str] = []
    letters = word[1:]
    while letters:
        option = flags.get(f"-{letters[0]}")
        if option is None or _bare(option):
            return [*out, f"-{letters}"]
        name = next(opt for opt in option.opts if opt.startswith("--"))
        letters = letters[1:]
        if letters.startswith("="):
            return [*out, f"{name}={letters[1:]}"]
        if not _is_switch(option):
            return [*out, *_long(f"{name}={letters}" if letters else name, flags, waiting)]
        out.append(f"{name}=true")
    return out


def _is_switch(option: click.Parameter) -> bool:
    return option.type is click.BOOL


def _bare(option: click.Parameter) -> bool:
    """Whether it is click's own kind of flag, which never takes a value (``--help``)."""
    return isinstance(option, click.Option) and option.is_flag


@contextlib.contextmanager
def _as_cobra() -> Iterator[None]:
    try:
        yield
    except click.UsageError as problem:
        raise WrongUsage(problem.format_message(), problem.ctx) from problem
