# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole build of stages: which are planned, which are given out, and what is remembered of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from farm.engine.making import Makers
from farm.engine.origin import Known
from farm.engine.summary import Summary
from farm.plan.node import Plan
from farm.spec.problem import error
from farm.stage.control import Control
from farm.stage.index import write_index
from farm.stage.layout import Layout
from farm.stage.library import Library
from farm.stage.model import ArchiveSeed, Output, Point, Stage, StageSeed
from farm.stage.plan import Allowed, Packages, PlannedStage, StagePlan, plan_host_hooks, plan_stages
from farm.stage.publish import Published, choose_version, publish, unchanged
from farm.store.signature import SecretKey

if TYPE_CHECKING:
    from farm.store.store import Store

Strategy = Literal["full", "quick"]
Run = Callable[[Plan], Summary]
"""Makes all nodes of a plan, telling whoever listens."""


@dataclasses.dataclass(frozen=True, slots=True)
class Built:
    """What became of a build. ``unchanged`` are versions that are the very same; ``failed`` stages with the reason."""

    summary: Summary
    published: tuple[Published, ...] = ()
    unchanged: Mapping[str, str] = dataclasses.field(default_factory=dict)
    failed: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether all went well."""
        return self.summary.outcome == "ok" and not self.failed


def chosen(library: Library, names: Sequence[str], strategy: Strategy, layout: Layout, *, only: bool) -> list[Stage]:
    """The stages of a build, seeds first. ``only``: what others than the named ones are given out as is left out.

    FarmError ``no-last-stage``, and those of `Library.chain`.
    """
    if strategy == "quick":
        return [_quick(library, library.stage(name), layout) for name in dict.fromkeys(names)]
    stages = library.chain(names)
    asked = {library.stage(name).name for name in names}
    if not only:
        return stages
    return [s if s.name in asked else dataclasses.replace(s, outputs=(), checks=(), check_packages=()) for s in stages]


def last_tarball(library: Library, name: str, layout: Layout) -> ArchiveSeed:
    """The newest tarball that the layout has of a stage. FarmError ``no-last-stage``."""
    release = library.stage(name).release
    latest = layout.latest(release)
    outputs = (latest.info or {}).get("outputs", ()) if latest else ()
    tarballs = [one for one in outputs if str(one["format"]).startswith("tar")]
    if latest is None or not tarballs:
        hint = "build it once in full: `farm stage build --strategy full`"
        raise error("no-last-stage", f"{layout.root} has no tarball of {name} to start from", hint=hint)
    return ArchiveSeed((latest.folder / tarballs[0]["file"]).as_uri(), tarballs[0]["sha256"])


def _quick(library: Library, stage: Stage, layout: Layout) -> Stage:
    """The stage with the last good tarball in the place of the stage that it begins with."""
    if not isinstance(stage.seed, StageSeed):
        return stage
    seed = last_tarball(library, stage.seed.quick or stage.name, layout)
    return dataclasses.replace(stage, seed=dataclasses.replace(seed, place=stage.seed.place))


class StageBuild:
    """One build of stages. ``once`` is a text that no other build has."""

    def __init__(self, stages: Sequence[Stage], packages: Packages, allowed: Allowed, once: str) -> None:
        self.allowed = allowed
        self.once = once
        self.stopped = False
        self.planned: StagePlan = plan_stages(stages, packages, allowed, once=once)

    def run(self, run: Run) -> Summary:
        """Hooks before the seed, then the graph. A hook that fails ends it."""
        for stage in self.planned.stages:
            summary = self._host_hooks(stage.stage, "before-seed", run, ())
            if summary is not None and summary.outcome != "ok":
                self.stopped = True
                return summary
        return run(self.planned.plan)

    def give_out(
        self,
        summary: Summary,
        run: Run,
        store: Store,
        makers: Makers,
        layout: Layout,
        *,
        date: str,
        now: float,
        key: SecretKey | None = None,
        always: bool = False,
    ) -> Built:
        """Publishes every stage that is whole, remembers how each went, runs the hooks after outputs, writes the index.

        ``date`` is the version; ``always``: also a stage whose newest version is the very same.
        """
        known = Known(self.planned.plan, store, makers)
        control = Control(layout)
        made = () if self.stopped else self.planned.stages
        whole = [one for one in made if all(node in known.results for node in one.targets)]
        giving = [one for one in whole if one.outputs]
        same = {one.stage.name: old.version for one in giving if (old := unchanged(one, known, layout)) and not always}
        fresh = [one for one in giving if one.stage.name not in same]
        version = choose_version(fresh, known, layout, date)
        published = []
        for one in fresh:
            published.append(publish(one, known, store, layout, version, key))
            control.succeeded(one.stage.release, version, now)
        for one in giving:
            if one.stage.name in same:
                control.succeeded(one.stage.release, same[one.stage.name], now)
        failed = dict(self._failures(summary, whole, control, now))
        failed |= dict(self._after(published, run))
        if published:
            write_index(layout)
        return Built(summary, tuple(published), same, failed)

    def load_into_docker(self, built: Built) -> None:
        """Gives the engine all outputs that have a name there. FarmError as `load_into_docker`."""
        for one in built.published:
            planned = self.planned.stage(one.stage)
            for (output, _), put in zip(planned.outputs, one.outputs, strict=True):
                if output.docker:
                    load_into_docker(output, put.file, planned.stage.environment)

    def _failures(
        self, summary: Summary, whole: Sequence[PlannedStage], control: Control, now: float
    ) -> Iterator[tuple[str, str]]:
        """Stages that were to be made and were not. A build that was cancelled is nobody's failure."""
        if summary.outcome == "cancelled":
            return
        first = next(iter(summary.failures), None)
        reason = f"{first.node}: {first.status}" if first else summary.outcome
        for one in self.planned.stages:
            if one not in whole:
                control.failed(one.stage.release, reason, now)
                yield one.stage.name, reason

    def _after(self, published: Sequence[Published], run: Run) -> Iterator[tuple[str, str]]:
        for one in published:
            stage = self.planned.stage(one.stage).stage
            names = " ".join(output.file.name for output in one.outputs)
            told = (("FARM_OUTPUT_DIR", str(one.folder)), ("FARM_OUTPUT_NAMES", names), ("FARM_VERSION", one.version))
            summary = self._host_hooks(stage, "after-outputs", run, told)
            if summary is not None and summary.outcome != "ok":
                yield stage.name, f"a hook after the outputs: {summary.outcome}"

    def _host_hooks(
        self, stage: Stage, point: Point, run: Run, environment: Sequence[tuple[str, str]]
    ) -> Summary | None:
        plan = plan_host_hooks(stage, point, self.allowed, once=self.once, environment=environment)
        return run(plan) if plan else None


def load_into_docker(output: Output, folder: Path, environment: Sequence[tuple[str, str]]) -> None:
    """Gives the layer of an OCI layout to the Docker engine, as the image ``output.docker``.

    FarmError ``docker-unreachable``, ``docker-engine``.
    """
    import json

    from farm.runner.docker.engine import connection

    index = json.loads((folder / "index.json").read_bytes())
    blobs = folder / "blobs" / "sha256"
    manifest = json.loads((blobs / index["manifests"][0]["digest"].removeprefix("sha256:")).read_bytes())
    layer = blobs / manifest["layers"][0]["digest"].removeprefix("sha256:")
    repository, colon, tag = output.docker.rpartition(":")
    if not colon or "/" in tag:
        repository, tag = output.docker, "latest"
    changes = ['CMD ["/bin/sh"]', *(f"ENV {name}={json.dumps(value)}" for name, value in environment)]
    with connection() as client:
        answer = client.api.import_image_from_file(str(layer), repository=repository, tag=tag, changes=changes)
    if '"errorDetail"' in answer:
        raise error("docker-engine", f"the Docker engine did not take the image: {answer.strip()}")


def once() -> str:
    """A text that no other build has."""
    import os

    return os.urandom(16).hex()
