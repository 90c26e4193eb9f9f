# SPDX-License-Identifier: GPL-3.0-or-later
"""For which platform something is made, in a root of which platform, and why so.

A job's *target* is the platform of what it makes; its *root* that of the programs in its root. They differ in a cross
build only. Pure: what this host can do is said by `Platforms`.
"""

from __future__ import annotations

import dataclasses
from typing import Literal

from farm.spec.model import Build, Requirement
from farm.spec.platform import MACHINES, short

How = Literal["native", "cross", "emulated"]


@dataclasses.dataclass(frozen=True, slots=True)
class Choice:
    """How something is made for ``target``: in a root of platform ``root``; ``reason`` in plain words."""

    target: str
    root: str
    how: How = "native"
    reason: str = ""

    def below(self, build: Build, *, finished: bool, platforms: Platforms) -> Choice:
        """How what it needs is made. ``finished``: only the package is wanted, not the root it was built in.

        In a cross build what is needed comes from the platform of the root, unless its spec says ``cross: true``.
        """
        if self.how == "cross":
            return self if build.cross else Choice(self.root, self.root, "native", "a tool of a cross build")
        if finished:
            return platforms.choose(self.target, build)
        if self.how == "emulated" and build.cross and platforms.cross:
            return dataclasses.replace(self, reason="it is part of the root of a package that is emulated")
        return self


@dataclasses.dataclass(frozen=True, slots=True)
class Platforms:
    """What the runners can do.

    ``build``: the platform that cross toolchains run on (empty: all that is asked for is native); ``native``: platforms
    whose programs run without an emulator. ``accelerators``: for each platform the package of ``build`` that is put on
    top of emulated roots (docs/platforms.md). ``cross``: whether cross builds are wanted.
    """

    build: str = ""
    native: tuple[str, ...] = ()
    accelerators: tuple[tuple[str, Requirement], ...] = ()
    cross: bool = True

    def choose(self, target: str, build: Build) -> Choice:
        """How a package with this build.yaml is made for ``target``: native before cross before emulated."""
        if not self.build or target == self.build:
            return Choice(target, target, "native", f"{target} is what this host is")
        if target in self.native:
            return Choice(target, target, "native", f"a runner runs programs of {target} itself")
        if build.cross and self.cross:
            return Choice(
                target, self.build, "cross", f"the spec says `cross: true`; the toolchain runs on {self.build}"
            )
        lacking = "cross builds are not wanted" if build.cross else "the spec does not say `cross: true`"
        return Choice(target, target, "emulated", f"no runner is of {target}, and {lacking}")

    def accelerator(self, choice: Choice) -> Requirement | None:
        """The package that makes an emulated root faster."""
        return dict(self.accelerators).get(choice.target) if choice.how == "emulated" else None

    def mark(self, platform: str) -> str:
        """What the ids of a platform's nodes have behind the package's name: nothing for the usual one."""
        return "" if not self.build or platform == self.build else f"@{short(platform)}"


def cross_environment(choice: Choice) -> tuple[str, ...]:
    """What the commands of a spec that says ``cross: true`` get to know: ``ENV`` arguments."""
    return (
        f"FARM_BUILD_PLATFORM={choice.root}",
        f"FARM_BUILD_TRIPLE={_triple(choice.root)}",
        f"FARM_TARGET_PLATFORM={choice.target}",
        f"FARM_TARGET_TRIPLE={_triple(choice.target)}",
    )


def _triple(platform: str) -> str:
    machine = MACHINES.get(platform)
    return machine.triple if machine else ""
