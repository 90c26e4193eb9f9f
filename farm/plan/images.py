# SPDX-License-Identifier: GPL-3.0-or-later
"""What a spec's ``image:`` stands for."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from farm.plan.job import Made, Seed
from farm.spec.platform import MACHINES
from farm.spec.problem import Place, error


@dataclasses.dataclass(frozen=True, slots=True)
class Images:
    """The seeds that settings declare, the plain names they map, and whether plain names are Docker's.

    ``roots`` are images that other nodes of the plan make: their layers, lowest first.
    """

    seeds: Mapping[str, Seed] = dataclasses.field(default_factory=dict)
    names: Mapping[str, str] = dataclasses.field(default_factory=dict)
    plain_is_docker: bool = False
    roots: Mapping[str, tuple[Made, ...]] = dataclasses.field(default_factory=dict)

    def root(self, image: str) -> tuple[Made, ...] | None:
        """The layers of an image that is made in this plan; None when it is not."""
        return self.roots.get(image, self.roots.get(self.names.get(image, image)))

    def seed(self, image: str, platform: str, place: Place | None = None) -> Seed:
        """The seed for an ``image:``. FarmError ``unknown-image``."""
        target = self.names.get(image, image)
        if target in self.seeds:
            seed = self.seeds[target]
            return dataclasses.replace(seed, platform=platform, packages=packages_for(platform, seed.packages))
        if target == "scratch":
            return Seed("scratch", platform=platform)
        if target.startswith("docker://"):
            return Seed("docker", image=target.removeprefix("docker://"), platform=platform)
        if target.startswith("file://"):
            return Seed("archive", url=target, platform=platform)
        if self.plain_is_docker:
            return Seed("docker", image=target, platform=platform)
        known = ", ".join(sorted(self.seeds)) or "none"
        hint = (
            f"map it in farm.yaml (images: {{{target!r}: SEED}}; seeds known here: {known}), write docker://{target} "
            "for a local Docker image, or use --runner docker"
        )
        raise error("unknown-image", f"image {image!r} is no seed", place=place, hint=hint)


def packages_for(platform: str, written: tuple[str, ...]) -> tuple[str, ...]:
    """Names of Debian packages for a platform: ``gcc-aarch64-linux-gnu [amd64]`` is for amd64 only, ``[!arm64]`` not.

    Source of the form: Debian Policy, 7.1, architecture restrictions.
    """
    machine = MACHINES.get(platform)
    own = {"any", "linux-any", *([machine.debian, f"any-{machine.debian}"] if machine else ())}
    chosen = []
    for text in written:
        name, bracket, restriction = text.partition("[")
        words = restriction.rstrip("] ").split()
        excluded = {word[1:] for word in words if word.startswith("!")}
        if not bracket or (not own & excluded if excluded else own & {*words}):
            chosen.append(name.strip())
    return tuple(chosen)


def seed_node_id(seed: Seed) -> str:
    """A readable, unique node id."""
    match seed.kind:
        case "debootstrap":
            variant = "" if seed.variant == "minbase" else f"-{seed.variant}"
            name = f"{seed.suite}{variant}+{len(seed.packages)}" + (f"@{seed.date}" if seed.date else "")
        case "archive":
            name = seed.url.rsplit("/", 1)[-1]
        case "docker":
            name = f"docker:{seed.image}"
        case _:
            name = seed.kind
    return f"seed:{name}"


def seed_of(written: Mapping[str, Any]) -> Seed:
    """A seed as farm.yaml has it: ``{debootstrap: {…}}``, ``{url, sha256}`` or ``{docker}``."""
    if "docker" in written:
        return Seed("docker", image=written["docker"])
    if "url" in written:
        return Seed("archive", url=written["url"], sha256=written.get("sha256", ""))
    fields = dict(written["debootstrap"])
    for key in ("packages", "components"):
        if key in fields:
            fields[key] = tuple(fields[key])
    return Seed("debootstrap", **fields)
