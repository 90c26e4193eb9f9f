# SPDX-License-Identifier: GPL-3.0-or-later
"""rust: a bundle of all crates in Cargo.lock, so that the build needs no network."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath
from typing import Any

from farm.kit.autogen.extensions.archives import read_texts
from farm.kit.autogen.extensions.bundle import Member, identifier_of, make_bundle, write_tarball
from farm.kit.autogen.extensions.checkout import Checkout, checked_out
from farm.kit.autogen.extensions.protocol import Bench, Made, main_artefact
from farm.kit.autogen.model import Atom
from farm.kit.autogen.values import Artefact
from farm.kit.distfiles.fetching import Got, Wanted
from farm.spec.problem import error
from farm.store.download import check_cancel

KIND = "mark-rust-bundle"


@dataclasses.dataclass(frozen=True, slots=True)
class Crate:
    """An entry of Cargo.lock that is not the package's own. ``checksum`` is a sha256; empty for what git has."""

    name: str
    version: str
    source: str
    checksum: str


class Rust:
    """Options: those of `golang` but ``proxy``, and ``crates_skipped``, names with spaces between them."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.skipped = frozenset((bench.options.get("crates_skipped") or "").split())

    def apply(self, atom: Atom, values: Mapping[str, Any], artefacts: Sequence[Artefact]) -> Made:
        """Crates are checked against Cargo.lock, git's by their commit. FarmError ``no-cargo-lock``, ``distfile-…``."""
        base, crates = self._crates(atom, artefacts)
        folder = f"{identifier_of(self.bench, KIND)}-{atom.name}"
        registry = [crate for crate in crates if crate.checksum]
        with ThreadPoolExecutor(self.bench.concurrency, "rust") as pool:
            files = list(pool.map(self._fetch, registry))
        blob = self.bench.distfiles.store.blob_path
        members = [Member(f"{folder}/{got.distfile.name}", blob(got.blob)) for got in files]
        members += [Member(f"{folder}/{got.distfile.name}", blob(got.blob)) for got in self._git_crates(atom, crates)]
        bundle, got = make_bundle(self.bench, atom, values, KIND, members)
        return Made({"pkg_basedir": base}, (*artefacts, bundle), {bundle.name: got})

    def _crates(self, atom: Atom, artefacts: Sequence[Artefact]) -> tuple[str, list[Crate]]:
        """The folder in the tarball, and what its Cargo.lock names."""
        archive = self.bench.distfiles.store.blob_path(main_artefact(self.bench, atom, artefacts).blob)
        prefix = self.bench.options.get("unpack_srcdir_prefix", "")
        found = read_texts(archive, lambda path: _is_top(path, prefix))
        if not found:
            message = f"{atom.name}: the tarball has no Cargo.lock"
            raise error("no-cargo-lock", message, place=atom.place, hint="is unpack_srcdir_prefix right?")
        path = min(found)
        try:
            lock = tomllib.loads(found[path].decode())
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as fault:
            raise error("bad-cargo-lock", f"{atom.name}: {path}: {fault}", place=atom.place) from None
        return path.parts[0], [crate for crate in crates_of(lock) if crate.name not in self.skipped]

    def _fetch(self, crate: Crate) -> Got:
        check_cancel(self.bench.cancel)
        url = f"{self.bench.endpoints.crates}/{crate.name}/{crate.version}/download"
        return self.bench.distfiles.get(
            Wanted(f"{crate.name}-{crate.version}.crate", (url,), {"SHA256": crate.checksum})
        )

    def _git_crates(self, atom: Atom, crates: Sequence[Crate]) -> list[Got]:
        """One tarball for each commit of a repository, with the crates that are wanted of it."""
        wanted: dict[str, list[Crate]] = {}
        for crate in crates:
            if crate.source.startswith("git+"):
                wanted.setdefault(crate.source.removeprefix("git+"), []).append(crate)
        return [self._git_bundle(atom, source, wanted[source]) for source in sorted(wanted)]

    def _git_bundle(self, atom: Atom, source: str, crates: Sequence[Crate]) -> Got:
        address, _, commit = source.partition("#")
        repository = address.partition("?")[0]
        name = f"{repository.replace(':', '%3A').replace('/', '%2F')}-{commit}"
        if known := self.bench.distfiles.remembered(
            "GIT", commit + "-" + "-".join(c.name for c in crates), f"{name}.tar.xz"
        ):
            return known
        with checked_out(self.bench, repository, commit) as checkout:
            settings = _settings(atom, repository, name, checkout, crates)
            members = [*checkout.members(name), Member(f"{name}/mark_config.toml", settings.encode())]
            target = checkout.scratch / "bundle.tar.xz"
            write_tarball(target, "xz", members)
            got = self.bench.distfiles.add(target, f"{name}.tar.xz")
        self.bench.distfiles.remember("GIT", commit + "-" + "-".join(c.name for c in crates), got)
        return got


def crates_of(lock: Mapping[str, Any]) -> Iterator[Crate]:
    """The crates that have to be brought; version 1 of the format has its checksums apart (Cargo's reference).

    FarmError ``bad-cargo-lock`` for a crate of a registry without a checksum, or with a name that is none.
    """
    apart: Mapping[str, str] = lock.get("metadata") or {}
    for entry in lock.get("package") or ():
        name, version, source = (str(entry.get(key) or "") for key in ("name", "version", "source"))
        if not source:
            continue
        checksum = str(entry.get("checksum") or apart.get(f"checksum {name} {version} ({source})") or "")
        plain = all(c.isascii() and (c.isalnum() or c in "_-+.") for c in name + version)
        if not plain or not (source.startswith("git+") or len(checksum) == 64):
            raise error("bad-cargo-lock", f"Cargo.lock has no checksum for {name[:80]!r} {version[:80]!r}")
        yield Crate(name, version, source, "" if source.startswith("git+") else checksum)


def _settings(atom: Atom, repository: str, name: str, checkout: Checkout, crates: Sequence[Crate]) -> str:
    """mark_config.toml: where the crates of a repository will be, for Cargo's ``[patch]``."""
    folders = _crate_folders(checkout)
    lines = [f"[patch.'{repository}']"]
    for crate in crates:
        if crate.name not in folders:
            raise error("no-crate", f"{atom.name}: {repository} has no crate {crate.name}", place=atom.place)
        path = "/".join(part for part in ("%CRATES_DIR%", name, folders[crate.name]) if part)
        lines.append(f'{crate.name} = {{ path = "{path}" }}')
    return "\n".join(lines) + "\n"


def _crate_folders(checkout: Checkout) -> dict[str, str]:
    """Names of the crates of a checkout → their folders in it."""
    found: dict[str, str] = {}
    for path in sorted(checkout.folder.rglob("Cargo.toml")):
        try:
            name = tomllib.loads(path.read_text("utf-8")).get("package", {}).get("name")
        except (tomllib.TOMLDecodeError, OSError, UnicodeDecodeError, AttributeError):
            continue
        if isinstance(name, str):
            folder = path.parent.relative_to(checkout.folder)
            found.setdefault(name, "" if str(folder) == "." else str(folder))
    return found


def _is_top(path: PurePosixPath, prefix: str) -> bool:
    return len(path.parts) == 2 and path.name == "Cargo.lock" and path.parts[0].startswith(prefix)
