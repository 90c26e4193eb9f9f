# SPDX-License-Identifier: GPL-3.0-or-later
"""What taking a version into the kit changes: its ebuild, its Manifest, its ``files/``.

Also how versions that come from elsewhere (autogen) get into a kit: they are a source like any other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from farm.kit.atom import Cpv
from farm.kit.ebuilds import Kit
from farm.kit.manifest import Distfile, Manifest, hash_kinds, salvage
from farm.kit.merge.candidates import Candidate, fits
from farm.kit.metadata.entry import Metadata
from farm.kit.metadata.reading import MetadataReader
from farm.kit.tree import FILE
from farm.kit.unit import Unit, bump
from farm.spec.problem import FarmError, Problem, error

Contents = dict[str, tuple[str, bytes] | None]


def plan_bumps(
    candidates: Sequence[Candidate],
    target: Kit,
    sources: Sequence[Kit],
    reader: MetadataReader,
    hashes: Iterable[str],
    problems: list[Problem],
) -> list[Unit]:
    """A unit for each candidate that the target does not have yet, sorted by package.

    A package that cannot be taken is noted in ``problems``, and the others go on. ``hashes``: what the specification
    asks for besides BLAKE2B and SHA512.
    """
    existing = {c.cpv.catpkg: target.packages.get(c.cpv.catpkg, ()) for c in candidates}
    known = reader.read(target, [cpv for cpvs in existing.values() for cpv in cpvs]).found
    units: dict[str, Unit] = {}
    added: dict[str, Manifest] = {}
    for candidate in sorted(candidates, key=lambda c: c.cpv):
        try:
            cpv = decide(candidate, target, known)
            if cpv is None or str(cpv) in units:
                continue
            writing = Writing(target, sources, known, hash_kinds(hashes))
            changes = writing.changes(candidate, cpv, added, problems)
        except FarmError as failure:
            problems.extend(_of(candidate.cpv, problem) for problem in failure.problems)
            continue
        if changes:
            units[str(cpv)] = bump(cpv, target.branch, changes)
    return list(units.values())


def _of(cpv: Cpv, problem: Problem) -> Problem:
    return Problem(problem.code, f"{cpv}: {problem.message}", problem.place, problem.hint, problem.severity, cpv.catpkg)


def decide(candidate: Candidate, target: Kit, known: Mapping[Cpv, Metadata]) -> Cpv | None:
    """Under which version the candidate goes into the target; None when the target needs nothing.

    The same version with the same content, or a later version there: nothing. The same version with other content:
    the next revision, so that installed systems see it.
    """
    mine = [cpv for cpv in target.packages.get(candidate.cpv.catpkg, ()) if _concerns(candidate, cpv, known)]
    if any(candidate.cpv.order < cpv.order for cpv in mine):
        return None
    equal = [cpv for cpv in mine if cpv.order == candidate.cpv.order]
    if not equal:
        return candidate.cpv
    content = candidate.kit.tree.entries[candidate.cpv.path].blob
    if any(target.tree.entries[cpv.path].blob == content for cpv in equal):
        return None
    return candidate.cpv.with_revision(candidate.cpv.revision + 1)


def _concerns(candidate: Candidate, cpv: Cpv, known: Mapping[Cpv, Metadata]) -> bool:
    if cpv not in known:
        return not candidate.rule.wanted.slot
    return fits(candidate.rule, cpv, known[cpv].slot)


class Writing:
    """Makes the changes of one package. ``known``: metadata of what the target has."""

    def __init__(
        self, target: Kit, sources: Sequence[Kit], known: Mapping[Cpv, Metadata], hashes: Sequence[str]
    ) -> None:
        self.target, self.sources, self.known, self.hashes = target, sources, known, hashes

    def changes(self, candidate: Candidate, cpv: Cpv, added: dict[str, Manifest], problems: list[Problem]) -> Contents:
        """Path → content. ``added`` collects the Manifests of packages that several rules take.

        FarmError ``bad-manifest``, ``manifest-incomplete``.
        """
        source, catpkg = candidate.kit, candidate.cpv.catpkg
        changes: Contents = {cpv.path: (FILE, source.tree.read(candidate.cpv.path))}
        replaced = _replaced(candidate, cpv, self.target)
        if replaced:
            changes[replaced.path] = None
        wanted = self._distfiles(candidate, replaced)
        manifest = self._manifest(candidate, wanted, added, problems)
        added[catpkg] = manifest
        path = f"{catpkg}/Manifest"
        content = manifest.to_bytes()
        before = self.target.tree.read(path) if path in self.target.tree.entries else b""
        if content != before:
            changes[path] = (FILE, content) if content else None
        return {**changes, **self._files(source, catpkg)}

    def _distfiles(self, candidate: Candidate, replaced: Cpv | None) -> dict[str, Candidate | None]:
        """Every distfile that the package needs afterwards; its candidate when it is new."""
        kept = [cpv for cpv in self.target.packages.get(candidate.cpv.catpkg, ()) if cpv != replaced]
        wanted: dict[str, Candidate | None] = {}
        for cpv in kept:
            if cpv in self.known:
                wanted |= dict.fromkeys(self.known[cpv].distfiles)
        return {**wanted, **dict.fromkeys(candidate.metadata.distfiles, candidate)}

    def _manifest(
        self,
        candidate: Candidate,
        wanted: Mapping[str, Candidate | None],
        added: Mapping[str, Manifest],
        problems: list[Problem],
    ) -> Manifest:
        catpkg = candidate.cpv.catpkg
        theirs = candidate.kit.manifest(catpkg)
        mine = salvage(self.target.tree.read(f"{catpkg}/Manifest") if self._has(catpkg) else b"")
        others = [salvage(kit.tree.read(f"{catpkg}/Manifest")) for kit in self.sources if _has(kit, catpkg)]
        for name in mine.only(candidate.metadata.distfiles).conflicts(theirs):
            message = f"{candidate.cpv}: distfile {name} is another file now"
            hint = "versions that are there already may no longer find theirs"
            problems.append(Problem("distfile-changed", message, None, hint, "warning", catpkg))
        unreadable = any(cpv not in self.known for cpv in self.target.packages.get(catpkg, ()))
        files: dict[str, Distfile] = dict(mine.distfiles) if unreadable else {}
        missing = []
        for name, new in wanted.items():
            homes = [theirs] if new else [mine, *others]
            found = next((home.distfiles[name] for home in homes if name in home.distfiles), None)
            if found is None:
                missing.append(name)
            else:
                files[name] = self._reduced(found)
        if missing:
            message = f"no DIST line for {', '.join(sorted(missing))}"
            raise error("manifest-incomplete", message, hint=f"mend the Manifest of {catpkg} in {candidate.kit.name}")
        earlier = added.get(catpkg, Manifest())
        return earlier.with_files(files.values())

    def _reduced(self, distfile: Distfile) -> Distfile:
        kept = {kind: distfile.hashes[kind] for kind in self.hashes if kind in distfile.hashes}
        return Distfile(distfile.name, distfile.size, kept or distfile.hashes)

    def _has(self, catpkg: str) -> bool:
        return _has(self.target, catpkg)

    def _files(self, source: Kit, catpkg: str) -> Contents:
        """``files/`` and metadata.xml that differ. What only the target has stays: another version may need it."""
        mine = self.target.folder(catpkg)
        changes: Contents = {}
        for path, entry in source.folder(catpkg).items():
            if path.startswith("files/") and mine.get(path) != entry:
                changes[f"{catpkg}/{path}"] = (entry.mode, source.tree.read(f"{catpkg}/{path}"))
        return changes


def _has(kit: Kit, catpkg: str) -> bool:
    return "Manifest" in kit.folder(catpkg)


def _replaced(candidate: Candidate, cpv: Cpv, target: Kit) -> Cpv | None:
    """The ebuild that a new revision of the same version takes the place of."""
    if cpv == candidate.cpv:
        return None
    there = target.packages.get(cpv.catpkg, ())
    return next((other for other in there if other.order == candidate.cpv.order), None)
