# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs finalizers: for the root ``/`` as plain processes, for any other root in namespaces of their own in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from farm.client.config import ClientConfig
from farm.client.progress import Progress, Report
from farm.client.transaction.step import Script
from farm.spec.problem import error

LUET_VERSION = "0.40.1"
"""What finalizers are told in ``LUET_VERSION``: the client whose behaviour they get."""

_DEFAULTS = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}
_SOURCE = Path(__file__).resolve().parents[2]
_START = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); from farm.client.enter import main; sys.exit(main(sys.argv[1:]))"
)
_CHUNK = 1 << 16


def run_script(script: Script, config: ClientConfig, report: Report) -> None:
    """Runs the commands one after the other until one fails; what they write is told line by line.

    FarmError ``finalizer-failed``.
    """
    env = environment(config)
    for text in script.commands:
        status = _run([*script.shell, text], config.rootfs, env, script, report)
        if status != 0:
            shown = text if len(text) < 80 else text[:77] + "…"
            message = f"the {script.when} finalizer of {script.package} failed with status {status}: {shown}"
            hint = "the files are in place; run it by hand, or reinstall the package"
            raise error("finalizer-failed", message, hint=f"{hint}{_obstacle(config.rootfs)}")


def _obstacle(rootfs: Path) -> str:
    """What keeps programs of the root from running here, as a further line of a hint; nothing, if nothing does."""
    from farm.runner.binfmt import obstacle
    from farm.runner.machine import shell_platform

    platform = shell_platform([rootfs])
    problem = obstacle(platform) if platform else None
    return f"\n{problem.message}: {problem.hint}" if problem else ""


def environment(config: ClientConfig) -> dict[str, str]:
    """All that a finalizer finds in its environment. PATH and HOME, which anise does not set, can be overridden."""
    fixed = {"LUET_VERSION": LUET_VERSION, "ANISE_SUBSETS": " ".join(config.subsets_enabled)}
    return {**_DEFAULTS, **dict(config.finalizer_envs), **fixed}


def entering(rootfs: Path, argv: Sequence[str], env: Mapping[str, str], mounts: Sequence[str] = ()) -> list[str]:
    """The command that runs ``argv`` with ``rootfs`` as ``/``, which sees these folders of the host too."""
    request = {"root": os.fspath(rootfs), "argv": [*argv], "env": dict(env), "mounts": [*mounts]}
    return [sys.executable, "-I", "-S", "-c", _START, os.fspath(_SOURCE), json.dumps(request)]


def _run(argv: list[str], rootfs: Path, env: dict[str, str], script: Script, report: Report) -> int:
    host = rootfs.resolve() == Path("/")
    command, given = (argv, env) if host else (entering(rootfs, argv, env), {})
    try:
        process = subprocess.Popen(
            command, env=given, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
    except OSError as fault:
        report(Progress("output", script.package, text=str(fault)))
        return 127
    with process:
        assert process.stdout is not None
        for line in process.stdout:
            report(Progress("output", script.package, text=line.decode("utf-8", "replace").rstrip("\n")))
    return process.returncode if process.returncode >= 0 else 128 - process.returncode
