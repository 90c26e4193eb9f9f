# SPDX-License-Identifier: GPL-3.0-or-later
"""What a job touches of the host: which folders it may, which hooks run there, and the workspace before and after."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from farm.spec.problem import Problem
from farm.stage.metro.model import Bind, Hook, Job
from farm.store.removal import remove_tree

_FORBIDDEN = ("/dev", "/proc", "/sys", "/run", "/boot", "/etc", "/bin", "/sbin", "/lib", "/lib64", "/usr")
_HOME_FOLDERS = (".ssh", ".gnupg", ".config")
_TARGETS = ("/dev", "/proc", "/sys")
_PASSED = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TERM", "TMPDIR")
_PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


def bound_folders(job: Job, folder: Path, hooks: Sequence[Hook]) -> dict[str, str]:
    """The folders of the binds of a job and its hooks by their source as written, which is relative to ``folder``."""
    return {bind.source: os.path.realpath(folder / bind.source) for bind in _binds(job, hooks)}


def host_problems(
    job: Job, folder: Path, store: Path, hooks: Sequence[Hook], *, allow_hooks: bool
) -> tuple[Problem, ...]:
    """All that a job wants of the host and may not have. Nothing is changed.

    ``hooks`` are those that will run; ``store`` is the farm's own folder.
    """
    problems = [] if allow_hooks else [_not_allowed(hook) for hook in hooks if hook.on_host]
    for bind in _binds(job, hooks):
        problems += _bad_bind(bind, folder / bind.source, [store, job.rootfs])
    return tuple(dict.fromkeys([*problems, *_bad_folders(job)]))


def host_environment(environ: Mapping[str, str], more: Sequence[str] = ()) -> dict[str, str]:
    """What hooks on the host get of the environment: who and where the user is, proxies, and ``more`` by name."""
    return {name: environ[name] for name in (*_PASSED, *_PROXIES, *more) if name in environ}


@contextlib.contextmanager
def workspace(job: Job, binds: Mapping[str, str]) -> Iterator[None]:
    """Folders that have to be there while the job runs. The empty place of the root goes afterwards."""
    for path in binds.values():
        Path(path).mkdir(parents=True, exist_ok=True)
    job.workspace.mkdir(parents=True, exist_ok=True)
    made = not job.rootfs.exists()
    if made:
        job.rootfs.mkdir(mode=0o700)
    try:
        yield
    finally:
        if made:
            with contextlib.suppress(OSError):
                job.rootfs.rmdir()


def clear_rootfs(job: Job) -> None:
    """Removes the root that an earlier run left in the workspace. FarmError ``mounted``, ``other-file-system``."""
    if job.rootfs.is_dir() and not job.rootfs.is_symlink():
        remove_tree(job.rootfs)


def _binds(job: Job, hooks: Sequence[Hook]) -> list[Bind]:
    return [*job.binds, *(bind for hook in hooks if not hook.on_host for bind in hook.binds)]


def _not_allowed(hook: Hook) -> Problem:
    message = f"hook {hook.name} ({hook.type}) runs on this host: {hook.commands[0][:60] if hook.commands else ''}"
    return Problem("host-hook-not-allowed", " ".join(message.split()), hook.place, "allow it with --allow-host-hooks")


def _bad_bind(bind: Bind, path: Path, own: Sequence[Path]) -> Iterator[Problem]:
    real = Path(os.path.realpath(path))
    if reason := _why_not(real, own):
        yield Problem("bad-bind", f"{bind.source} cannot be bound into the root: {reason}", bind.place)
    target = os.path.normpath("/" + bind.target.lstrip("/"))
    if target == "/" or any(target == name or target.startswith(f"{name}/") for name in _TARGETS):
        yield Problem("bad-bind", f"nothing can be bound at {bind.target} of the root", bind.place)
    if ".." in bind.target.split("/"):
        yield Problem("bad-bind", f"{bind.target} has .. in it", bind.place)


def _why_not(real: Path, own: Sequence[Path]) -> str:
    """Why a folder of the host may not be given to a job; empty: it may."""
    if real == Path("/"):
        return "it is the whole host"
    for name in map(Path, _FORBIDDEN):
        if real == name or name in real.parents:
            return f"it belongs to the host's {name}"
    home = Path(os.path.realpath(Path.home()))
    if real == home or real in home.parents:
        return "it is, or holds, your home folder"
    if any(home / name == real or home / name in real.parents for name in _HOME_FOLDERS):
        return "it holds settings or keys of yours"
    for folder in (Path(os.path.realpath(path)) for path in own):
        if real == folder or real in folder.parents or folder in real.parents:
            return f"it is a part of {folder}, or holds it"
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISDIR(real.stat().st_mode):
            return "it is no folder"
    return ""


def _bad_folders(job: Job) -> Iterator[Problem]:
    if job.rootfs.is_symlink() or (job.rootfs.exists() and not job.rootfs.is_dir()):
        yield Problem("bad-workspace", f"{job.rootfs} is no folder", job.place)
    for folder, what in ((job.workspace, "workspacedir"), (job.output.folder, "dir of output")):
        there = next(path for path in (folder, *folder.parents) if path.exists())
        if not there.is_dir():
            yield Problem("bad-folder", f"{what}: {there} is no folder", job.place)
        elif not os.access(there, os.W_OK | os.X_OK):
            yield Problem("bad-folder", f"{what}: {there} cannot be written", job.place, "name another folder")
    if job.output.file.is_dir():
        yield Problem("bad-output-name", f"{job.output.file} is a folder", job.output.place)
