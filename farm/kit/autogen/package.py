# SPDX-License-Identifier: GPL-3.0-or-later
"""From one atom to one ebuild with its Manifest lines and files. docs/autogen.md has the order of the steps."""

from __future__ import annotations

import copy
import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from farm.kit.atom import LONGEST, Cpv
from farm.kit.autogen.engines import Engine, render_text
from farm.kit.autogen.extensions.protocol import Extension
from farm.kit.autogen.generators.protocol import Choice, Generator
from farm.kit.autogen.model import Atom
from farm.kit.autogen.selection import Candidate, choose, with_revision
from farm.kit.autogen.values import Artefact, Values, checked_artefact
from farm.kit.distfiles.fetching import Distfiles, Got, Wanted
from farm.kit.tree import EXECUTABLE, FILE, LINK
from farm.spec.document import open_source
from farm.spec.problem import FarmError, error

RENDERED = ("body", "iuse", "rdepend", "bdepend", "depend", "pdepend", "cdepend", "s", "slot", "homepage", "desc",
            "required_use", "restrict", "src_install", "src_install_extra")  # fmt: skip
"""Variables of the specification whose texts are templates themselves, in the order they are rendered."""

MAX_FILES = 64 << 20

Files = Mapping[str, tuple[str, bytes]]
"""Path in the package's folder → git's mode and content."""


@dataclasses.dataclass(frozen=True, slots=True)
class Generated:
    """A package that is ready for its kit. ``slot`` is what the specification says of it."""

    cpv: Cpv
    slot: str
    ebuild: bytes
    distfiles: tuple[Got, ...]
    files: Files
    values: Values


@dataclasses.dataclass(frozen=True, slots=True)
class Maker:
    """What makes the packages of one definition."""

    specfile: Path
    generator: Generator
    engine: Engine
    engine_options: Sequence[str]
    extensions: Mapping[str, Extension]
    distfiles: Distfiles

    def choose(self, atom: Atom) -> Chosen:
        """The version, with its values and artefacts; nothing big was downloaded. FarmError."""
        found = self.generator.process(atom)
        values: Values = {**found.values, **copy.deepcopy(dict(atom.vars)), "pn": atom.name, "category": atom.category}
        versions = [str(version) for version in values.pop("versions", None) or found.versions]
        candidate = choose(atom, versions, values)
        version = with_revision(candidate.version, atom.revision)
        values |= {"version": version, "pv": candidate.version, "original_version": candidate.original}
        if len(f"{atom.name}-{version}") > LONGEST:
            raise error("bad-version", f"{atom.name}: the version is too long: {version[:80]}…", place=atom.place)
        more, artefacts = self.generator.artefacts(atom, found, Choice(candidate.version, candidate.original, values))
        if atom.ignore_artefacts:
            artefacts = []
        return Chosen(
            atom, candidate, Cpv(atom.category, atom.name, version), _over(values, more, atom), tuple(artefacts)
        )

    def make(self, chosen: Chosen) -> Generated:
        """The ebuild, its distfiles and its files. FarmError."""
        atom, values, artefacts, made = chosen.atom, dict(chosen.values), chosen.artefacts, dict[str, Got]()
        for artefact in artefacts:
            checked_artefact(artefact)
        values["artefacts"] = [artefact.to_values() for artefact in artefacts]
        for name in atom.extensions:
            done = self.extensions[name].apply(atom, values, artefacts)
            artefacts, values = tuple(map(checked_artefact, done.artefacts)), _over(values, done.values, atom)
            values["artefacts"] = [artefact.to_values() for artefact in artefacts]
            made |= done.files
        _render_variables(atom, values)
        distfiles = tuple(self._distfile(atom, artefact, made) for artefact in artefacts)
        if artefacts:
            values["src_uri"] = f"{artefacts[0].urls[0]} -> {artefacts[0].name}"
        ebuild = self._ebuild(atom, values)
        return Generated(chosen.cpv, chosen.slot, ebuild, distfiles, self._files(atom, values), values)

    def _distfile(self, atom: Atom, artefact: Artefact, made: Mapping[str, Got]) -> Got:
        if artefact.local:
            if artefact.name not in made:
                message = f"{atom.name}: {artefact.name} is local, but nothing made it"
                raise error("no-artefact", message, place=atom.place)
            return made[artefact.name]
        hashes = {kind.upper(): value for kind, value in artefact.hashes.items()}
        try:
            return self.distfiles.get(Wanted(artefact.name, artefact.urls, hashes, user_agent=atom.user_agent))
        except FarmError as failure:
            problem = failure.problems[0]
            message = f"{atom.name}: {problem.message}"
            raise error(problem.code, message, place=atom.place, hint=problem.hint) from None

    def _ebuild(self, atom: Atom, values: Values) -> bytes:
        file = self.specfile.parent / (atom.template or f"templates/{atom.name}.tmpl")
        source, problems = open_source(str(Path(os.path.normpath(file))))
        if source is None:
            hint = "template: is relative to the specification; its default is templates/NAME.tmpl"
            raise error("no-template", f"{atom.name}: {problems[0].message}: {file}", place=atom.place, hint=hint)
        return self.engine(source.text, values, Path(source.path), self.engine_options).encode()

    def _files(self, atom: Atom, values: Values) -> Files:
        written = render_text(atom.files_dir, values, "files_dir") or f"{atom.category}/{atom.name}/files"
        folder = self.specfile.parent / written
        if not folder.is_dir():
            if atom.files_dir and "{{" not in atom.files_dir:  # a template stands for many packages: some have none
                raise error("no-files", f"{atom.name}: there is no folder {folder}", place=atom.place)
            return {}
        return _read_folder(atom, folder)


@dataclasses.dataclass(frozen=True, slots=True)
class Chosen:
    """A version that is to be made, unless the kit has it."""

    atom: Atom
    candidate: Candidate
    cpv: Cpv
    values: Values
    artefacts: tuple[Artefact, ...]

    @property
    def slot(self) -> str:
        """The slot that the variables tell, without a sub-slot; 0 when they do not."""
        slot = self.values.get("slot")
        text = render_text(slot, self.values, "slot") if isinstance(slot, str) else str(slot or 0)
        return (text or "0").partition("/")[0]


def _over(values: Values, more: Values, atom: Atom) -> Values:
    """``more`` added; None takes a value away. What the specification itself says stays."""
    result = {**values, **{key: value for key, value in more.items() if key not in atom.vars}}
    return {key: value for key, value in result.items() if value is not None or key not in more}


def _render_variables(atom: Atom, values: Values) -> None:
    """Renders what the specification says. What comes from outside is no template: nobody else writes programs here."""
    for name in RENDERED:
        if name in atom.vars and isinstance(values.get(name), str):
            values[name] = render_text(values[name], values, f"{atom.name}: vars.{name}")


def _read_folder(atom: Atom, folder: Path) -> dict[str, tuple[str, bytes]]:
    """All files below a folder; links are kept as links. FarmError ``files-too-large``."""
    found: dict[str, tuple[str, bytes]] = {}
    size = 0
    for place, folders, names in os.walk(folder):
        links = [name for name in folders if (Path(place) / name).is_symlink()]
        folders[:] = sorted(name for name in folders if name != ".git")
        for name in [*names, *links]:
            path = Path(place) / name
            where = f"files/{path.relative_to(folder)}"
            if path.is_symlink():
                found[where] = (LINK, os.fsencode(path.readlink()))
            elif path.is_file():
                found[where] = (EXECUTABLE if os.access(path, os.X_OK) else FILE, path.read_bytes())
                size += len(found[where][1])
            if size > MAX_FILES:
                raise error("files-too-large", f"{atom.name}: {folder} has more than {MAX_FILES >> 20} MiB")
    return dict(sorted(found.items()))


Present = Callable[[Chosen], bool]
"""Whether a kit needs a chosen version no more."""
