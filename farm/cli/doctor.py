# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm doctor``: checks the host, and says how to mend each finding."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import click

from farm.cli.session import store_options, store_root
from farm.cli.show import print_json, size
from farm.runner.rootless import check_rootless, ensure_privileges, is_rootless
from farm.spec.problem import FarmError

Verdict = Literal["ok", "missing", "optional"]
COLOURS: dict[Verdict, str] = {"ok": "green", "missing": "red", "optional": "yellow"}
LITTLE_SPACE = 10 * 1024**3


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. ``mend`` is empty when nothing has to be done."""

    what: str
    verdict: Verdict
    detail: str
    mend: str = ""


@click.command()
@store_options
@click.option("--platform", "platforms", multiple=True, metavar="P", help="It has to run roots of P; may be repeated.")
def doctor(platforms: tuple[str, ...], **options: object) -> None:
    """Check this host and say how to mend each finding.

    The exit status is 1 when the default runner cannot work, or something is wrong with how roots of a --platform run.
    """
    with contextlib.suppress(FarmError):  # _user() tells why
        ensure_privileges(sys.argv)
    findings = [_user(), _runner("sandbox", needed=True), _runner("docker", needed=False), _groups(), *_programs()]
    findings += _platforms(platforms)
    findings.append(_space(store_root(options)))
    if options["json"]:
        print_json([dataclasses.asdict(finding) for finding in findings])
    else:
        for finding in findings:
            _show(finding)
    raise SystemExit(1 if any(finding.verdict == "missing" for finding in findings) else 0)


def _show(finding: Finding) -> None:
    word = "absent" if finding.verdict == "optional" else finding.verdict
    click.echo(f"{click.style(word.ljust(8), fg=COLOURS[finding.verdict])} {finding.what}: {finding.detail}")
    for line in finding.mend.splitlines():
        click.echo(f"         {line}")


def _runner(name: str, *, needed: bool) -> Finding:
    from farm.runner.registry import get_runner

    runner = get_runner(name)
    try:
        runner.check()
    except FarmError as failure:
        problem = failure.problems[0]
        return Finding(f"runner {name}", "missing" if needed else "optional", problem.message, problem.hint)
    finally:
        runner.close()
    return Finding(f"runner {name}", "ok", "works")


def _platforms(asked: tuple[str, ...]) -> list[Finding]:
    """What runs roots of other machines: those asked for, or those that are known to be built here."""
    from farm.runner.binfmt import PLATFORMS, check, handler, native_platforms

    findings = []
    for platform in dict.fromkeys(asked or PLATFORMS):
        problem = check(platform)
        if problem:
            verdict: Verdict = "missing" if asked else "optional"
            findings.append(Finding(f"platform {platform}", verdict, problem.message, problem.hint))
            continue
        entry = None if platform in native_platforms() else handler(platform)
        how = f"emulated by {entry.interpreter} (flags {entry.flags})" if entry else "native"
        findings.append(Finding(f"platform {platform}", "ok", how))
    return findings


def _programs() -> list[Finding]:
    wanted: list[tuple[str, str, Callable[[], bool]]] = [
        ("mmdebstrap", "makes debootstrap seeds", lambda: True),
        ("/usr/lib/apt/apt-helper", "fetches apt: mirrors of sources", lambda: True),
        ("git", "fetches and pushes kits", lambda: True),
        ("bwrap", "confines ebuilds of kits", lambda: True),
        ("newuidmap", "lets an ordinary user build", lambda: os.geteuid() != 0 or is_rootless()),
    ]
    return [_program(name, purpose) for name, purpose, applies in wanted if applies()]


def _program(name: str, purpose: str) -> Finding:
    found = shutil.which(name)
    packages = {"bwrap": "bubblewrap", "newuidmap": "uidmap", "/usr/lib/apt/apt-helper": "apt"}
    mend = "" if found else f"apt-get install {packages.get(name, name)}"
    return Finding(name, "ok" if found else "optional", f"{purpose}: {found or 'not installed'}", mend)


def _space(root: Path) -> Finding:
    place = next(path for path in (root, *root.parents) if path.exists())
    free = shutil.disk_usage(place).free
    enough = free > LITTLE_SPACE
    mend = "" if enough else f"free some, run `farm gc`, or put the store elsewhere (--store, now {root})"
    return Finding("disk space", "ok" if enough else "optional", f"{size(free)} free for the store at {root}", mend)


def _user() -> Finding:
    if os.geteuid() == 0:
        return Finding("user", "ok", "an ordinary user in a user namespace" if is_rootless() else "root")
    try:
        check_rootless()
    except FarmError as failure:
        return Finding("user", "missing", failure.problems[0].message, failure.problems[0].hint)
    return Finding("user", "ok", f"user {os.geteuid()}, who can enter a user namespace")


def _groups() -> Finding:
    from farm.runner.cgroup import shortfall

    problem = shortfall()
    if problem:
        return Finding("control groups", "optional", problem.message, problem.hint)
    return Finding("control groups", "ok", "jobs are limited as a whole")
