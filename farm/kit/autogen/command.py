# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``farm kit autogen`` does from beginning to end: a `Request` in, a `Report` out."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from farm.kit.autogen.access import Endpoints, tokens_of
from farm.kit.autogen.model import Specification
from farm.kit.autogen.output import contents_of, place_distfiles, without_conflicts, write_kit
from farm.kit.autogen.package import Chosen, Generated
from farm.kit.autogen.run import Outcome, Workshop, generate
from farm.kit.autogen.specfile import read_specification
from farm.kit.distfiles.backend import Backend
from farm.kit.distfiles.fetching import Distfiles
from farm.kit.distfiles.layout import FLAT, Layout
from farm.kit.manifest import hash_kinds
from farm.kit.model import KitSpec, Target
from farm.kit.run import RunOptions
from farm.kit.specfile import read_kit_spec
from farm.plan.images import seed_of
from farm.plan.job import Seed
from farm.spec.problem import Problem, error
from farm.store.download import Say
from farm.store.store import Store


@dataclasses.dataclass(frozen=True)
class Request:
    """What is asked for. ``run`` is how kits are worked on: the work folder, servers, who commits.

    ``backend``: where new distfiles are brought to; None: nowhere. ``force``: versions that the kit has are made too.
    """

    specfile: Path
    kitfile: Path
    run: RunOptions
    packages: tuple[str, ...] = ()
    downloads: Path | None = None
    thin: bool = False
    skip_merge: bool = False
    force: bool = False
    stop_on_error: bool = False
    store: Path | None = None
    seed: str | None = None
    script_network: bool = False
    backend: Backend | None = None
    layout: Layout = FLAT


@dataclasses.dataclass
class Report:
    """What was done. ``written``: files of a thin run; ``notes``: lines about the merge and the mirror; ``news``: about
    what was pushed, and what failed."""

    outcomes: list[Outcome]
    warnings: tuple[Problem, ...] = ()
    written: list[str] = dataclasses.field(default_factory=list)
    problems: list[Problem] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)
    details: dict[str, Any] = dataclasses.field(default_factory=dict)
    news: list[str] = dataclasses.field(default_factory=list)

    @property
    def failed(self) -> bool:
        """Whether anything that was asked for was not done."""
        bad = any(outcome.status in ("failed", "skipped") for outcome in self.outcomes)
        return bad or any(problem.severity == "error" for problem in self.problems)

    @property
    def generated(self) -> list[Generated]:
        """What is new, in the order of the specification."""
        return [outcome.generated for outcome in self.outcomes if outcome.generated]

    def to_json(self) -> dict[str, Any]:
        """As plain data for ``--json``."""
        return {
            "packages": [outcome.to_json() for outcome in self.outcomes],
            "written": self.written,
            "problems": [problem.to_json() for problem in (*self.warnings, *self.problems)],
            "ok": not self.failed,
            **self.details,
        }


def autogen(request: Request, *, say: Say = lambda _line: None, cancel: threading.Event | None = None) -> Report:
    """Generates, and, unless the request is thin, merges and brings distfiles to their mirror.

    A package that fails is told in the report. FarmError for what concerns them all: the specifications, the kit.
    """
    specification = read_specification(request.specfile)
    kit = read_kit_spec(request.kitfile)
    target = kit.target
    if target is None:
        hint = "add target: with name, url and branch"
        raise error("no-target", f"{request.kitfile} names no kit to generate for", hint=hint)
    warnings = (*specification.warnings, *kit.problems)
    with workshop_of(request, specification, target, say, cancel or threading.Event()) as workshop:
        if request.thin or request.skip_merge:
            report = generate_all(request, specification, workshop, lambda _chosen: False)
            _write(request, target, workshop, report)
        else:
            from farm.kit.autogen.intokit import autogen_into_kit

            report = autogen_into_kit(request, specification, kit, workshop)
        return dataclasses.replace(report, warnings=warnings)


def generate_all(
    request: Request, specification: Specification, workshop: Workshop, present: Callable[[Chosen], bool]
) -> Report:
    """Every package that is asked for: an outcome each."""
    outcomes = generate(
        specification,
        workshop,
        packages=request.packages,
        present=present,
        stop_on_error=request.stop_on_error,
        report=lambda outcome: workshop.say(f"{outcome.atom.catpkg}: {outcome.status} {outcome.version}".rstrip()),
    )
    return Report(without_conflicts(outcomes))


def _write(request: Request, target: Target, workshop: Workshop, report: Report) -> None:
    """Ebuilds below ``TO/sources/KIT``, distfiles in the folder of downloads."""
    folder = request.run.to / "sources" / target.name
    contents = contents_of(report.generated)
    if request.run.dry_run:
        report.written += [f"{folder / path}" for path in sorted(contents)]
        return
    place_distfiles(Distfiles(workshop.store), report.generated, request.downloads or request.run.to / "downloads")
    report.written += [f"{folder / path}" for path in write_kit(folder, contents)]


@contextlib.contextmanager
def workshop_of(
    request: Request, specification: Specification, target: Target, say: Say, cancel: threading.Event
) -> Iterator[Workshop]:
    """What a run works with; the runner of scripts is started only where there are scripts."""
    from farm.spec.settings import read_settings

    settings = read_settings({"store": request.store} if request.store else {})
    tokens = tokens_of(request.run.servers)
    with contextlib.ExitStack() as stack:
        store = stack.enter_context(Store(settings.store))
        scripts = None
        if _has_scripts(specification):
            from farm.kit.autogen.scripts import DEFAULT_SEED, Scripts
            from farm.runner.registry import get_runner

            runner = get_runner(settings.runner)
            stack.callback(runner.close)
            runner.check()
            seed = _seed(settings.seeds, request.seed) if request.seed else DEFAULT_SEED
            scripts = Scripts(store, runner, seed, cancel, network=request.script_network)
        kinds = hash_kinds(target.manifest_hashes)
        yield Workshop(store, tokens, Endpoints.of(), cancel, say, scripts, request.run.concurrency, kinds)


def _has_scripts(specification: Specification) -> bool:
    names = {one.generator for one in specification.definitions}
    names |= {extension.name for one in specification.definitions for extension in one.extensions.values()}
    return "custom" in names


def _seed(seeds: Mapping[str, Mapping[str, Any]], name: str) -> Seed:
    """A seed of farm.yaml. FarmError ``unknown-seed``."""
    written = seeds.get(name)
    if written is None:
        hint = f"farm.yaml has: {', '.join(seeds) or 'none'}"
        raise error("unknown-seed", f"there is no seed {name!r}", hint=hint)
    return seed_of(written)


def spec_target(kit: KitSpec) -> Target:
    """The kit's target, which `autogen` has looked for."""
    assert kit.target is not None
    return kit.target
