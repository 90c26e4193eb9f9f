# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``farm kit distfiles-sync`` does: every distfile that a list of kits names is on the mirror, and is right."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from farm.kit.atom import Cpv
from farm.kit.distfiles.backend import Backend
from farm.kit.distfiles.fetching import Distfiles, Wanted
from farm.kit.distfiles.layout import Layout
from farm.kit.distfiles.mirrors import Addresses, Source, parse_thirdpartymirrors
from farm.kit.distfiles.sync import Result, Supply, synchronise
from farm.kit.ebuilds import Kit
from farm.kit.manifest import Distfile, agree
from farm.kit.metadata.reading import MetadataReader
from farm.kit.model import KitSpec, Mirror
from farm.kit.run import RunOptions
from farm.kit.workspace import Workspace
from farm.spec.problem import FarmError, Problem, error
from farm.store.store import Store

_CHECKED = ("BLAKE2B", "SHA512", "SHA256")


@dataclasses.dataclass(frozen=True)
class Request:
    """What is asked for: the kits of ``spec``, or of its target alone when it has no sources."""

    spec: KitSpec
    run: RunOptions
    store: Path
    backend: Backend
    layout: Layout
    packages: tuple[str, ...] = ()
    size_only: bool = False


@dataclasses.dataclass
class Summary:
    """The end of a run: what became of each distfile, and which packages it belongs to."""

    atoms: int = 0
    results: list[Result] = dataclasses.field(default_factory=list)
    owners: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    problems: list[Problem] = dataclasses.field(default_factory=list)
    dry_run: bool = False

    @property
    def failed(self) -> bool:
        """Whether anything is not as it should be."""
        return any(problem.severity == "error" for problem in self.problems)

    def to_data(self) -> dict[str, Any]:
        """As mark-devkit writes it (``stats`` and ``atoms_errors``), with the distfiles by state besides."""
        errors = [
            {"atom": owner, "file": result.name, "error": result.problem.message}
            for result in self.results
            if result.problem
            for owner in self.owners.get(result.name, [""])
        ]
        by_state: dict[str, list[str]] = {}
        for result in self.results:
            by_state.setdefault(result.state, []).append(result.name)
        return {
            "stats": {
                "tot_atoms": self.atoms,
                "tot_errors": sum(problem.severity == "error" for problem in self.problems),
                "tot_elaborated": len(self.results),
                "tot_size": sum(result.size for result in self.results if result.state != "failed"),
            },
            "atoms_errors": errors,
            "distfiles": {state: sorted(names) for state, names in sorted(by_state.items())},
            "problems": [problem.to_json() for problem in self.problems],
        }


@dataclasses.dataclass(frozen=True, slots=True)
class _Named:
    """A distfile that some package names, with its addresses."""

    line: Distfile
    source: Source


def sync_distfiles(
    request: Request,
    *,
    report: Callable[[Result], None] = lambda _result: None,
    cancel: threading.Event | None = None,
) -> Summary:
    """Brings what is missing. FarmError when nothing could be done at all; what failed in part is in the summary."""
    run = request.run
    summary = Summary(problems=list(request.spec.problems), dry_run=run.dry_run)
    with (
        Store(request.store) as store,
        Workspace(run.to, run.servers, depth=run.depth, concurrency=run.concurrency, keep=run.keep) as work,
    ):
        kits = _kits(request, work)
        named, mirrors = _named(request, kits, summary)
        distfiles = Distfiles(store, cancel, run.say)
        addresses = Addresses(mirrors, request.spec.fallback_mirrors, _small_files(store, cancel))

        def supply(one: _Named) -> Supply:
            return Supply(one.line, lambda: _fetch(distfiles, addresses, one))

        supplies = [supply(named[name]) for name in sorted(named)]
        summary.results = synchronise(
            request.backend,
            request.layout,
            supplies,
            run.concurrency,
            size_only=request.size_only,
            dry_run=run.dry_run,
            report=report,
        )
    for result in summary.results:
        if result.problem:
            owner = ", ".join(summary.owners.get(result.name, [])[:3])
            summary.problems.append(dataclasses.replace(result.problem, package=owner or None))
    return summary


def _kits(request: Request, work: Workspace) -> list[Kit]:
    """The kits whose distfiles are wanted."""
    from farm.kit.run import pinned

    spec, run = request.spec, request.run
    kits = work.sources(pinned(spec.sources, run.pins), pull=run.pull_sources)
    if spec.target is not None:
        branch = work.target(spec.target.name, spec.target.url, spec.target.branch, depth=run.depth)
        if branch.head:
            kits.append(Kit(spec.target.name, branch.repository.tree(branch.head), spec.target.branch))
    if not kits:
        raise error("no-sources", f"{spec.file} names no kit", hint="add sources:, or a target: that is there")
    return kits


def _named(request: Request, kits: Sequence[Kit], summary: Summary) -> tuple[dict[str, _Named], list[Mirror]]:
    """Every distfile by name, from the Manifests and SRC_URIs of all kits; the first kit's wins where two disagree."""
    found: dict[str, _Named] = {}
    mirrors = list(request.spec.target.mirrors) if request.spec.target else []
    asked = set(request.packages)
    with MetadataReader(request.run.cache, kits) as reader:
        for kit in kits:
            mirrors += parse_thirdpartymirrors(kit.read_text("profiles/thirdpartymirrors"))
            wanted = [catpkg for catpkg in kit.packages if not asked or asked & {catpkg, catpkg.partition("/")[2]}]
            ebuilds = [cpv for catpkg in wanted for cpv in kit.packages[catpkg]]
            scanned = reader.read(kit, ebuilds)
            summary.atoms += len(ebuilds)
            for cpv, why in sorted(scanned.failed.items()):
                message = f"{kit.name}: {cpv}: portage cannot read it: {why}"
                summary.problems.append(Problem("bad-ebuild", message, None, "", "error", str(cpv)))
            for cpv, metadata in scanned.found.items():
                _collect(kit, cpv, metadata.distfiles, found, summary)
    if asked and not summary.atoms:
        raise error("unknown-package", f"no kit has {', '.join(sorted(asked))}")
    return found, mirrors


def _collect(
    kit: Kit, cpv: Cpv, files: Mapping[str, Sequence[str]], found: dict[str, _Named], summary: Summary
) -> None:
    try:
        manifest = kit.manifest(cpv.catpkg)
    except FarmError as failure:
        known = {problem.message for problem in summary.problems}
        summary.problems += [problem for problem in failure.problems if problem.message not in known]
        return
    for name, uris in files.items():
        line = manifest.distfiles.get(name)
        if line is None or not set(line.hashes) & set(_CHECKED):
            message = f"{kit.name}: {cpv}: its Manifest has no usable DIST line for {name}"
            summary.problems.append(Problem("manifest-incomplete", message, None, "", "error", str(cpv)))
            continue
        before = found.get(name)
        if before and not agree(before.line, line):
            message = f"{kit.name}: {cpv}: {name} is another file than in another package"
            hint = "a mirror has one file of a name: rename one with -> in SRC_URI"
            summary.problems.append(Problem("distfile-conflict", message, None, hint, "error", str(cpv)))
            continue
        both = tuple(dict.fromkeys([*(before.source.uris if before else ()), *uris]))
        found[name] = _Named(before.line if before else line, Source(name, both))
        summary.owners.setdefault(name, []).append(str(cpv))


def _fetch(distfiles: Distfiles, addresses: Addresses, one: _Named) -> Path:
    hashes = {kind: value for kind, value in one.line.hashes.items() if kind in _CHECKED}
    got = distfiles.get(Wanted(one.line.name, addresses.of(one.source, one.line.hashes), hashes, one.line.size))
    return distfiles.store.blob_path(got.blob)


def _small_files(store: Store, cancel: threading.Event | None) -> Callable[[str], str]:
    """Reads layout.conf of mirrors; one that cannot be read is as one that is not there."""
    from farm.kit.autogen.access import Tokens
    from farm.kit.autogen.web import Web

    web = Web(store.root / "web", Tokens(), cancel=cancel)

    def read(url: str) -> str:
        try:
            return web.get(url).text()
        except FarmError:
            return ""

    return read
