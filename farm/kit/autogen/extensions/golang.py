# SPDX-License-Identifier: GPL-3.0-or-later
"""golang: a bundle of all modules in go.sum, so that the build needs no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath
from typing import Any

from farm.kit.autogen.extensions.archives import read_texts
from farm.kit.autogen.extensions.bundle import Member, identifier_of, make_bundle
from farm.kit.autogen.extensions.gosum import Line, hash_of, parse_go_sum
from farm.kit.autogen.extensions.protocol import Bench, Made, main_artefact
from farm.kit.autogen.model import Atom
from farm.kit.autogen.values import Artefact
from farm.kit.distfiles.fetching import Got, Wanted
from farm.spec.problem import FarmError, error
from farm.store.download import check_cancel

KIND = "mark-go-bundle"


class Golang:
    """Options: ``mirror``, ``bundle_identifier``, ``bundle_extension``, ``unpack_srcdir_prefix``, ``proxy``."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.proxy = (bench.options.get("proxy") or bench.endpoints.goproxy).rstrip("/")

    def apply(self, atom: Atom, values: Mapping[str, Any], artefacts: Sequence[Artefact]) -> Made:
        """Every file is checked against its ``h1`` in go.sum. FarmError ``no-go-sum``, ``bundle-mismatch``, …"""
        lines = self._lines(atom, artefacts)
        folder = f"{identifier_of(self.bench, KIND)}-{atom.name}"
        with ThreadPoolExecutor(self.bench.concurrency, "golang") as pool:
            files = list(pool.map(lambda line: self._fetch(atom, line), lines))
        blob = self.bench.distfiles.store.blob_path
        members = [
            Member(f"{folder}/{line.path.replace('/', '%2F')}", blob(got.blob))
            for line, got in zip(lines, files, strict=True)
        ]
        bundle, got = make_bundle(self.bench, atom, values, KIND, members)
        return Made({}, (*artefacts, bundle), {bundle.name: got})

    def _lines(self, atom: Atom, artefacts: Sequence[Artefact]) -> list[Line]:
        archive = self.bench.distfiles.store.blob_path(main_artefact(self.bench, atom, artefacts).blob)
        prefix = self.bench.options.get("unpack_srcdir_prefix", "")
        found = read_texts(archive, lambda path: _is_top(path, prefix))
        if not found:
            hint = "is unpack_srcdir_prefix right?" if prefix else "the package may need no bundle"
            raise error("no-go-sum", f"{atom.name}: the tarball has no go.sum", place=atom.place, hint=hint)
        return parse_go_sum(found[min(found)].decode("utf-8", "replace"))

    def _fetch(self, atom: Atom, line: Line) -> Got:
        check_cancel(self.bench.cancel)
        distfiles, name = self.bench.distfiles, line.path
        if known := distfiles.remembered("H1", line.sum, name):
            return known
        try:
            got = distfiles.get(Wanted(name, (f"{self.proxy}/{line.path}",)))
        except FarmError as failure:
            problem = failure.problems[0]
            raise error(problem.code, f"{atom.name}: {problem.message}", place=atom.place, hint=problem.hint) from None
        found = hash_of(distfiles.store.blob_path(got.blob), line)
        if found != line.sum:
            message = f"{atom.name}: {line.module} {line.version} is {found}, go.sum says {line.sum}"
            raise error(
                "bundle-mismatch", message, place=atom.place, hint="the proxy gave another file than the author had"
            )
        distfiles.remember("H1", line.sum, got)
        return got


def _is_top(path: PurePosixPath, prefix: str) -> bool:
    return len(path.parts) == 2 and path.name == "go.sum" and path.parts[0].startswith(prefix)
