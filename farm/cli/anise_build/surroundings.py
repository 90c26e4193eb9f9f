# SPDX-License-Identifier: GPL-3.0-or-later
"""The farm's session for a call of anise-build: what its flags say, and what they stay silent about.

The farm's own settings (seeds, images, store) come from ``farm.yaml`` in the trees, in the working directory, of the
user and of the host. Where they say nothing, anise-build's defaults hold: builds have a network, failures stop only
what needs them, and jobs run in Docker. When no engine answers, they run in the sandbox.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from farm.cli.session import Session
from farm.spec.problem import FarmError, error

BACKENDS = ("docker", "dockerv2", "dockerv3", "img")
"""They differ in how the Go tool takes files out of an image; here all are the docker runner."""

_SETTINGS = {"tree": "trees", "values": "values", "destination": "destination", "compression": "compression",
             "concurrency": "jobs"}  # fmt: skip
"""Flag → key of farm.yaml."""


def open_session(context: click.Context, options: Mapping[str, Any]) -> Session:
    """The session of a command with these options. FarmError with what is wrong with settings or repositories."""
    from farm.spec.settings import FILE, read_settings, user_config_files

    given = {_SETTINGS[flag]: value for flag, value in options.items() if flag in _SETTINGS}
    files = [Path.cwd() / FILE, *user_config_files(os.environ)]
    settings = read_settings(given, user_files=files)
    changed: dict[str, Any] = {"keep_going": True}
    if options.get("from_repositories"):
        from farm.cli.anise_build.compilertree import trees_of_repositories

        changed["trees"] = (*settings.trees, *trees_of_repositories(context, settings.store))
    if settings.origin("network") == "default":
        changed["network"] = True
    if "backend" in options and settings.origin("runner") == "default":
        changed["runner"] = runner_of(options["backend"])
    return Session(dataclasses.replace(settings, **changed))


def runner_of(backend: str) -> str:
    """The runner for a backend of anise-build. FarmError ``unknown-backend``, or what is wrong with the engine."""
    from farm.runner.registry import get_runner

    if backend not in BACKENDS:
        raise error("unknown-backend", f"there is no backend {backend!r}", hint=f"use one of {', '.join(BACKENDS)}")
    runner = get_runner("docker")
    try:
        runner.check()
    except FarmError as failure:
        if failure.code != "docker-unreachable":
            raise
        click.echo("no Docker engine answers: jobs run in the sandbox, with the images of farm.yaml", err=True)
        return "sandbox"
    finally:
        runner.close()
    return "docker"
