# SPDX-License-Identifier: GPL-3.0-or-later
"""What commands share: their options, the settings, the tree, the store, and the plan of the targets."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from farm.spec.problem import error

if TYPE_CHECKING:
    from farm.engine.journal import Journal
    from farm.plan.images import Images
    from farm.plan.node import Plan
    from farm.plan.platform import Platforms
    from farm.runner.protocol import Runner
    from farm.spec.model import PackageId, Tree
    from farm.spec.settings import Settings
    from farm.store.store import Store

Command = TypeVar("Command", bound=Callable[..., Any])
FOLDER = click.Path(file_okay=False, path_type=Path)


def with_options(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """All these options on one command."""
    return lambda command: functools.reduce(lambda made, option: option(made), reversed(options), command)


store_options = with_options(
    click.option("--store", type=FOLDER, help="The store (default: FARM_STORE, else in the user's cache folder)."),
    click.option("--json", is_flag=True, help="Print plain data."),
)
"""Options of commands that only look at a store."""

values_option = click.option(
    "--values", multiple=True, type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="A value file; later ones win.",
)  # fmt: skip

session_options = with_options(
    click.option("--tree", "-t", multiple=True, type=FOLDER, metavar="DIR", help="A spec tree; may be repeated."),
    values_option,
    store_options,
)
"""Options of commands that read trees."""

plan_options = with_options(
    click.argument("targets", nargs=-1, metavar="[TARGET]..."),
    session_options,
    click.option("--all", is_flag=True, help="All packages of the trees that are for the platform."),
    click.option("--platform", help="The platform to build for, for example linux/arm64."),
    click.option("--no-cross", is_flag=True, help="Emulate, where a cross build would do."),
    click.option("--no-accelerator", is_flag=True, help="Put no native compilers into emulated roots."),
    click.option("--runner", help="Where jobs run: sandbox (default) or docker."),
)
"""Options of commands that plan targets."""

_SETTINGS = {"tree": "trees", "values": "values", "runner": "runner", "jobs": "jobs", "store": "store",
             "destination": "destination", "platform": "platform", "keep_going": "keep-going"}  # fmt: skip
"""Option on the command line → key of farm.yaml."""


def settings_of(options: Mapping[str, Any]) -> Settings:
    """All settings, the command line's first. FarmError with all that is wrong in the files."""
    from farm.spec.settings import read_settings

    return read_settings({key: options[option] for option, key in _SETTINGS.items() if option in options})


def store_root(options: Mapping[str, Any]) -> Path:
    """The store's folder, which need not exist."""
    return settings_of(options).store


def open_store(options: Mapping[str, Any]) -> Store:
    """The store that the options name."""
    from farm.store.store import Store

    return Store(store_root(options))


def open_journal(options: Mapping[str, Any]) -> Journal:
    """The journal of the store that the options name."""
    from farm.engine.journal import Journal

    return Journal(store_root(options))


@dataclasses.dataclass(frozen=True)
class Session:
    """One call of a command: settings, and what follows from them, made when it is first used."""

    settings: Settings
    targets: tuple[str, ...] = ()
    everything: bool = False
    json: bool = False
    cross: bool = True
    accelerate: bool = True
    staged: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Session:
        """The session that the command's options ask for."""
        targets = tuple(options.get("targets", ()))
        flags = (bool(options.get(key)) for key in ("all", "json", "no_cross", "no_accelerator"))
        everything, json, no_cross, no_accelerator = flags
        return cls(settings_of(options), targets, everything, json, not no_cross, not no_accelerator)

    @functools.cached_property
    def store(self) -> Store:
        """The store."""
        from farm.store.store import Store

        return Store(self.settings.store)

    @functools.cached_property
    def tree(self) -> Tree:
        """All packages of all trees."""
        from farm.spec.load import load

        cache = self.settings.store / "trees"
        return load(self.settings.trees, self.settings.values, cache=cache, staged=self.staged)

    def with_settings(self, settings: Settings) -> Session:
        """The same session with other settings (of the same trees and store)."""
        other = dataclasses.replace(self, settings=settings)
        other.__dict__["store"] = self.store
        return other

    def with_staged(self, staged: Mapping[str, str]) -> Session:
        """The same session on the trees with other folders in place of some (see `load`), and on the same store."""
        other = dataclasses.replace(self, staged=staged)
        other.__dict__["store"] = self.store
        return other

    def stated_platform(self) -> str:
        """The platform that packages tell they are for: not when it is the usual one and nobody asked for it."""
        from farm.spec.platform import USUAL

        platform, asked = self.settings.platform, self.settings.origin("platform") != "default"
        return platform if asked or platform != USUAL else ""

    def store_option(self) -> str:
        """What a command that is suggested to the user needs to find this store."""
        if self.settings.origin("store") != "command line":
            return ""
        return f" --store {shlex.quote(str(self.settings.store))}"

    @contextlib.contextmanager
    def runner(self) -> Iterator[Runner]:
        """A new runner that can work here. FarmError ``unknown-runner``, or what is missing."""
        from farm.runner.registry import get_runner

        runner = get_runner(self.settings.runner)
        try:
            runner.check()
            yield runner
        finally:
            runner.close()

    def plan(self) -> Plan:
        """The plan of the targets.

        UsageError without a target; FarmError ``unknown-target`` for what is in no tree, all of them at once.
        """
        return self.plan_of(self._wanted(), everything=self.everything)

    def plan_of(self, wanted: Sequence[PackageId], *, everything: bool = False, platform: str = "") -> Plan:
        """The plan of these packages. ``everything``: what hides a package of the trees is a problem, too.

        ``platform``: what they are made for (default: as the settings say).
        """
        from farm.plan.make import Options, make_plan

        settings = self.settings
        compression = settings.compression
        if compression not in ("none", "gzip", "zstd"):
            raise error("bad-compression", f"{compression!r} is no compression", hint="write none, gzip or zstd")
        images = images_of(settings)
        options = Options(
            platform or settings.platform,
            settings.network,
            compression,  # type: ignore[arg-type]
            images,
            platforms=self.platforms(settings, platform or settings.platform),
        )
        plan = make_plan(self.tree, wanted, options)
        if not everything:
            return plan
        nameless = [p for p in self.tree.problems if p.severity == "error" and not p.package]
        return dataclasses.replace(plan, problems=(*nameless, *plan.problems))

    def platforms(self, settings: Settings, target: str) -> Platforms:
        """What this host can do for ``target``; what it can do for others is not looked at.

        ``settings``: those of the trees, which name native compilers.
        """
        from farm.plan.platform import Platforms
        from farm.runner.registry import platforms_of
        from farm.spec.model import Requirement
        from farm.spec.platform import host_platform

        named = settings.accelerators if self.accelerate else {}
        accelerators = tuple((platform, Requirement(*package.split("/"))) for platform, package in named.items())
        host = host_platform()
        native = (host,) if target == host else platforms_of(self.settings.runner)
        return Platforms(host, native, accelerators, self.cross)

    def _wanted(self) -> Sequence[PackageId]:
        if self.everything:
            from farm.spec.targets import made_for

            return made_for(self.tree, self.settings.platform)
        if not self.targets:
            raise click.UsageError("name at least one TARGET (category/name[@selector]), or use --all")
        from farm.spec.targets import find_targets

        return find_targets(self.tree, self.targets)


def images_of(settings: Settings) -> Images:
    """What ``image:`` and names of seeds mean with these settings."""
    from farm.plan.images import Images, seed_of

    seeds = {name: seed_of(seed) for name, seed in settings.seeds.items()}
    return Images(seeds, settings.images, plain_is_docker=settings.runner == "docker")
