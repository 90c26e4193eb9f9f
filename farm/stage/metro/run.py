# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole run of a job: from the file to the tarball, and what is left in the workspace."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from farm.plan.job import Ref
from farm.plan.node import Result
from farm.spec.problem import FarmError, Problem
from farm.stage.metro import host, state
from farm.stage.metro.makers import fill, rootfs_problems, watched
from farm.stage.metro.model import Hook, Job
from farm.stage.metro.plan import Options, Planned, plan_job
from farm.stage.metro.render import read_job, whole
from farm.stage.metro.specfile import SpecFile, read_specfile
from farm.store.entry import link_up
from farm.store.removal import remove_tree
from farm.store.union import Union

if TYPE_CHECKING:
    import threading

    from farm.store.store import Store


@dataclasses.dataclass(frozen=True, slots=True)
class Wish:
    """What the command line asks for. ``date``: the moment of all templates, as written; empty: see `state.moment_of`.

    ``cleanup``: nothing stays in the workspace. ``fresh``: an earlier run that failed is not gone on with.
    ``pass_env``: variables that hooks on the host get, too.
    """

    specfile: Path
    job: str
    cleanup: bool = True
    skip_source: bool = False
    skip_hooks: bool = False
    skip_packer: bool = False
    allow_host_hooks: bool = False
    date: str | None = None
    fresh: bool = False
    pass_env: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Ready:
    """A job that is about to run: nothing has run yet, and everything that can be found out was looked at."""

    wish: Wish
    job: Job
    planned: Planned
    run: state.Run
    warnings: tuple[Problem, ...]


@contextlib.contextmanager
def ready(wish: Wish, store: Store, platform: str, environ: Mapping[str, str] = os.environ) -> Iterator[Ready]:
    """The job, checked and planned; its workspace is there inside. FarmError with all that is wrong."""
    file = read_specfile(wish.specfile)
    file.job(wish.job)
    moment = state.moment_of(dict(environ), wish.date)
    with state.begun(store, file.path, wish.job, moment, fresh=wish.fresh) as run:
        job, binds, warnings = _checked(wish, file, run.moment, store)
        planned = plan_job(job, binds, _options(wish, run, platform, environ))
        with host.workspace(job, binds):
            state.remember(store, file.path, wish.job, run)
            yield Ready(wish, job, planned, run, warnings)


def hooks_to_run(job: Job, wish: Wish) -> tuple[Hook, ...]:
    """The hooks that have something to do: without a tarball, not those that come after it."""
    without = {"outer-post-output"} if wish.skip_packer else set()
    return () if wish.skip_hooks else tuple(h for h in job.hooks if h.commands and h.type not in without)


def end(
    prepared: Ready, store: Store, results: Mapping[str, Result], *, ok: bool, cancel: threading.Event
) -> tuple[Problem, ...]:
    """What comes after the run, with what its nodes made: the root in the workspace; what went wrong with that."""
    job, wish = prepared.job, prepared.wish
    if ok:
        state.finished(store, job.specfile, job.name)
    try:
        if not wish.cleanup:
            layers = prepared.planned.final if ok else _last_root(prepared.planned, results)
            export(store, _digests(layers, results), job.rootfs, cancel)
        elif ok:
            host.clear_rootfs(job)
    except FarmError as failure:
        return failure.problems
    return ()


def export(store: Store, layers: Sequence[str], rootfs: Path, cancel: threading.Event) -> None:
    """Puts a root into the workspace, in the place of what is there, when it is whole."""
    part = rootfs.with_name(f".{rootfs.name}.part")
    remove_tree(part)
    with Union(store.layer_paths(list(layers))) as union:
        fill(part, watched(link_up(union.walk()), cancel))
    remove_tree(rootfs)
    part.rename(rootfs)


def _checked(
    wish: Wish, file: SpecFile, moment: datetime.datetime, store: Store
) -> tuple[Job, dict[str, str], tuple[Problem, ...]]:
    folder = Path.cwd()
    found, problems = read_job(file, wish.job, moment, folder)
    if found is not None:
        hooks = hooks_to_run(found, wish)
        allowed = wish.allow_host_hooks
        problems += host.host_problems(found, folder, store.root, hooks, allow_hooks=allowed)
        if wish.skip_source:
            problems += rootfs_problems(found.rootfs)
    job = whole(found, problems)
    return job, host.bound_folders(job, folder, hooks_to_run(job, wish)), problems


def _options(wish: Wish, run: state.Run, platform: str, environ: Mapping[str, str]) -> Options:
    skips = (wish.skip_source, wish.skip_hooks, wish.skip_packer)
    return Options(run.once, str(Path.cwd()), platform, host.host_environment(environ, wish.pass_env), *skips)


def _last_root(planned: Planned, results: Mapping[str, Result]) -> tuple[Ref, ...]:
    """The root after the last node that was made."""
    last = next((name for name in reversed(planned.plan.nodes) if name in results), None)
    if last is None:
        return ()
    own = results[last].layer
    return (*planned.roots[last], own) if own else planned.roots[last]


def _digests(layers: Sequence[Ref], results: Mapping[str, Result]) -> list[str]:
    found = [ref if isinstance(ref, str) else results[ref.node].digest(ref.what) for ref in layers]
    return list(dict.fromkeys(reversed(found)))[::-1]
