# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that commands of ``farm kit`` share, and what they mean."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from farm.cli.session import settings_of, with_options
from farm.cli.show import print_problems

if TYPE_CHECKING:
    from farm.kit.run import RunOptions
    from farm.kit.tokens import Servers
    from farm.spec.problem import Problem

FILE = click.Path(dir_okay=False, path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)


class KitCommand(click.Command):
    """A command that also takes switches as Go programs do: ``--push=true``, ``--single-branch=false``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Reads the words of the command line."""
        flags = {name: option for option in self.params if isinstance(option, click.Option) and option.is_flag
                 for name in option.opts}  # fmt: skip
        end = args.index("--") if "--" in args else len(args)
        words = [word for arg in args[:end] for word in _spelled(arg, flags)]
        return super().parse_args(ctx, [*words, *args[end:]])


def _spelled(arg: str, flags: Mapping[str, click.Option]) -> list[str]:
    name, equals, value = arg.partition("=")
    if not equals or name not in flags or value.lower() not in ("true", "false", "t", "f", "1", "0"):
        return [arg]
    return [name] if value.lower() in ("true", "t", "1") else list(flags[name].secondary_opts[:1])


specfile = click.option("--specfile", type=FILE, required=True, metavar="FILE", help="The specification (YAML).")
work = with_options(
    click.option("--to", type=FOLDER, default="workdir", show_default=True, help="The work folder."),
    click.option("--deep", type=click.IntRange(0), default=5, show_default=True, help="Commits of history fetched."),
    click.option("--concurrency", type=click.IntRange(1, 64), default=3, show_default=True, help="Clones at a time."),
    click.option("--keep-workdir", is_flag=True, help="Leave the work folder; the result is in its dest/."),
)
signature = with_options(
    click.option("--signature-name", metavar="NAME", help="Who commits (default: MARK Devkit Bot)."),
    click.option("--signature-email", metavar="MAIL", help="Their address."),
    click.option("--signing-key", type=FILE, metavar="FILE", help="Sign commits with this SSH key."),
)
forge = with_options(
    click.option("--forge", type=click.Choice(("github", "gitlab", "forgejo")), help="What the target is on."),
    click.option("--forge-api", metavar="URL", default="", help="Where its API is."),
)
notify_option = click.option(
    "--notify-discord-url", metavar="URL", default="",
    help="Tell this webhook what was pushed and what failed (better: MARKDEVKIT_DISCORD_URL, or …_URL_FILE).",
)  # fmt: skip
store = click.option("--store", type=FOLDER, help="The store: what was found out of ebuilds is remembered there.")
as_json = click.option("--json", is_flag=True, help="Print plain data.")
bot_run = with_options(
    click.option("--pkg", multiple=True, metavar="CAT/NAME", help="Only this package; may be repeated."),
    work,
    click.option("--push", is_flag=True, help="Push what was made."),
    click.option("--pr", is_flag=True, help="Pull requests instead of commits on the branch."),
    click.option("--github-user", metavar="OWNER", default="", help="The target's owner (default: by its URL)."),
    click.option("--skip-pull-sources", is_flag=True, help="Use the sources that a kept work folder has."),
    click.option("--skip-reposcan-generation", is_flag=True, help="Taken for the sake of scripts: it costs nothing."),
    click.option("--dry-run", "-n", is_flag=True, help="Change nothing, and show the difference."),
    click.option("--verbose", is_flag=True, help="Say what is being done."),
    signature,
    forge,
    notify_option,
    store,
    as_json,
)
"""Options of merge and clean, but the specification."""
bot = with_options(specfile, bot_run)
"""Options of merge and clean."""


def servers_of(options: Mapping[str, Any]) -> Servers:
    """Servers and tokens, by the configuration and the command line."""
    from farm.kit.tokens import read_servers

    given = click.get_current_context().obj or {}
    return read_servers(given.get("config"), kind=options.get("forge"), api=options.get("forge_api") or "")


def notify(options: Mapping[str, Any], lines: Iterable[str]) -> list[Problem]:
    """Tells the webhooks of a run that pushed, or tried to. Warnings about those that could not be told."""
    from farm.cli.markconfig import config_file, read_config
    from farm.kit.notify import hooks_of, tell
    from farm.spec.problem import FarmError

    if not options["push"] or options["dry_run"]:
        return []
    given = click.get_current_context().obj or {}
    file = config_file(given.get("config"))
    config: dict[str, Any] = {}
    wrong: list[Problem] = []
    try:
        config = read_config(file)
    except FarmError as failure:
        wrong = [dataclasses.replace(problem, severity="warning") for problem in failure.problems]
    folder = file.parent if file else Path()
    hooks, problems = hooks_of(config, os.environ, options["notify_discord_url"], folder=folder)
    return [*wrong, *problems, *tell(hooks, lines)]


@contextlib.contextmanager
def failure_told(options: Mapping[str, Any]) -> Iterator[None]:
    """Webhooks are told of what made a whole run impossible, too."""
    from farm.spec.problem import FarmError

    try:
        yield
    except FarmError as failure:
        print_problems(notify(options, [f"[{problem.code}] {problem.message}" for problem in failure.problems]))
        raise


def author_of(options: Mapping[str, Any]) -> Any:
    """Who commits."""
    from farm.kit.repository import Author

    usual = Author()
    name, email = options["signature_name"] or usual.name, options["signature_email"] or usual.email
    return Author(name, email, options["signing_key"])


def cache_of(options: Mapping[str, Any]) -> Path:
    """The file of the metadata cache, in the store."""
    return settings_of({"store": options["store"]}).store / "kits" / "metadata.db"


def run_options(options: Mapping[str, Any], **more: Any) -> RunOptions:
    """A run as the command line wants it."""
    from farm.kit.run import RunOptions

    verbose = options["verbose"] and not options["json"]
    return RunOptions(
        to=Path(options["to"]),
        cache=cache_of(options),
        servers=servers_of(options),
        author=author_of(options),
        packages=tuple(options["pkg"]),
        push=options["push"],
        pr=options["pr"],
        dry_run=options["dry_run"],
        depth=options["deep"],
        concurrency=options["concurrency"],
        keep=options["keep_workdir"],
        pull_sources=not options["skip_pull_sources"],
        owner=options["github_user"],
        say=(lambda text: click.echo(text, err=True)) if verbose else (lambda _text: None),
        **more,
    )
