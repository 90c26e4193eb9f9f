# SPDX-License-Identifier: GPL-3.0-or-later
"""Seeds made of Debian's or Ubuntu's packages by mmdebstrap, from the archives and with the keys of the host's apt.

The same packages give the same bytes: mmdebstrap unpacks them with SOURCE_DATE_EPOCH and cleans up its traces,
and what it takes over from the host (name, name servers, addresses of mirrors) is removed here.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from farm.plan.job import EPOCH, Seed
from farm.runner import binfmt
from farm.runner.machine import is_emulated, last_words
from farm.spec.platform import MACHINES
from farm.spec.problem import FarmError, error
from farm.store import apt

if TYPE_CHECKING:
    from farm.store.layers import LayerInfo
    from farm.store.store import Store

_TOOLS = {"mmdebstrap": "mmdebstrap", "unshare": "util-linux", "setpriv": "util-linux"}
_OF_THE_HOST = (
    "etc/hostname",
    "etc/resolv.conf",
    "etc/apt/sources.list",
    "etc/apt/sources.list.d/*",
    "etc/machine-id",
    "var/log/*.log",
    "var/log/apt/*",
    "var/cache/apt/*.bin",
    "var/cache/debconf/*-old",
    "var/lib/dpkg/*-old",
)
_PASSING = ("Failed to fetch", "Could not resolve", "Could not connect", "Connection ", "Temporary failure")


def debootstrap(seed: Seed, store: Store, log: Path, cancel: threading.Event) -> LayerInfo:
    """The layer of a ``debootstrap`` seed whose suite is definite.

    FarmError ``seed-tool-missing``, ``seed-no-archive``, ``seed-platform``, ``seed-failed``, ``cancelled``, and
    what keeps programs of its platform from running here (`farm.runner.binfmt`).
    """
    _check_tools()
    command, sources = _command(seed), _sources(seed)
    if problem := binfmt.obstacle(seed.platform):
        raise FarmError(problem)
    with store.scratch("seed") as folder, open(log, "ab") as out:
        start = out.tell()
        with _running(command, sources, folder, out, cancel) as process:
            layer = _import(process, store)
        if cancel.is_set():
            raise error("cancelled", "the making of the seed was cancelled")
        if process.returncode or layer is None:
            raise _failure(process.returncode, log, start, emulated=is_emulated(seed.platform))
        return layer


def _import(process: subprocess.Popen[bytes], store: Store) -> LayerInfo | None:
    """The layer, or None when what came was no complete archive."""
    assert process.stdout
    try:
        return store.import_layer(cast(BinaryIO, process.stdout), epoch=EPOCH)
    except FarmError as failure:
        if failure.code == "bad-archive":
            return None
        raise
    finally:
        process.stdout.close()


@contextlib.contextmanager
def _running(
    command: list[str], sources: bytes, folder: Path, out: object, cancel: threading.Event
) -> Iterator[subprocess.Popen[bytes]]:
    """mmdebstrap at work, fed with its sources. At exit it has ended, after its output was read or by force."""
    env = _environment(folder)
    process = subprocess.Popen(
        command,
        env=env,
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=out,  # type: ignore[call-overload]
    )
    ended = threading.Event()
    watch = threading.Thread(target=_kill_when, args=(process, cancel, ended), name="seed-watch", daemon=True)
    watch.start()
    try:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(sources)
            process.stdin.close()
        yield process
        process.wait()
    finally:
        ended.set()
        watch.join()
        process.kill()
        process.wait()


def _kill_when(process: subprocess.Popen[bytes], cancel: threading.Event, ended: threading.Event) -> None:
    while not ended.wait(0.1):
        if cancel.is_set():
            process.kill()
            return


def _command(seed: Seed) -> list[str]:
    """The command, in namespaces of its own: with its first process all others and all mounts go.

    mmdebstrap's mode ``root`` is right in a user namespace, too: it finds out that it cannot make device nodes.
    """
    if seed.platform not in MACHINES:
        raise error("seed-platform", f"no seed can be made for platform {seed.platform}")
    alone = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"]
    paths = " ".join(f'"$1"/{path}' for path in _OF_THE_HOST)
    options = [
        "--mode=root",
        "--format=tar",
        f"--variant={seed.variant}",
        f"--architectures={MACHINES[seed.platform].debian}",
        f"--customize-hook=rm -f {paths}",
    ]
    # The same check with arch-test, a package more, which only looks for a registered emulator.
    options += ["--skip=check/qemu"] if is_emulated(seed.platform) else []
    options += [f"--include={','.join(seed.packages)}"] if seed.packages else []
    return ["setpriv", "--pdeathsig", "KILL", *alone, "mmdebstrap", *options, seed.suite, "-", "-"]


def _sources(seed: Seed) -> bytes:
    """The apt sources for the seed's suite. FarmError ``seed-no-archive``."""
    host = apt.host_distribution()
    own = apt.distribution_archives(apt.archives(), host)
    found = apt.for_suite(own, host, seed.suite, seed.components)
    if not found:
        hint = (
            "seeds need a Debian or Ubuntu host with its archive in /etc/apt; elsewhere use a root tarball as the seed"
        )
        raise error("seed-no-archive", "the host's apt names no archive of the host's own release", hint=hint)
    return "\n".join(entry.stanza() for entry in found).encode()


def _environment(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
    return {
        **apt.proxies(),
        **kept,
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "LC_ALL": "C.UTF-8",
        "SOURCE_DATE_EPOCH": str(EPOCH),
    }


def _check_tools() -> None:
    missing = sorted({package for tool, package in _TOOLS.items() if not shutil.which(tool)})
    if missing:
        names = " ".join(missing)
        hint = f"apt-get install {names}   (or use a root tarball as the seed)"
        raise error("seed-tool-missing", f"a seed cannot be made without {names}", hint=hint)


def _failure(status: int, log: Path, start: int, *, emulated: bool) -> FarmError:
    with open(log, "rb") as file:
        file.seek(start)
        said = file.read().decode(errors="replace").splitlines()
    reasons = [line for line in said if line.startswith(("E:", "Err:"))] or said[-5:]
    message = "\n  ".join([f"mmdebstrap ended with status {status}:", *reasons[-8:]])
    passing = any(mark in line for line in reasons for mark in _PASSING)
    hint = "look at the seed's log"
    if emulated and (words := last_words(log)):
        passing = True
        hint += f"; this may be the emulator's fault ({words}): a root tarball as the seed needs none"
    return error("seed-failed", message, hint=hint, transient=passing)
