# SPDX-License-Identifier: GPL-3.0-or-later
"""Has portage find out the metadata of ebuilds, confined: ebuilds and eclasses are programs of strangers."""

from __future__ import annotations

import dataclasses
import io
import os
import re
import sys
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from farm.kit.atom import Cpv
from farm.kit.confine import Confined, Confinement, run_confined
from farm.kit.metadata.entry import Metadata, parse_metadata
from farm.spec.problem import error

ONE = 60.0
"""Seconds that one ebuild may take."""

ALONE = 20
"""How many unclear ones are tried again by themselves."""

_INSIDE = "/farm-inside.py"
_VIEW = {
    "profiles/repo_name": b"farm-view\n",
    "profiles/arch.list": b"amd64\n",
    "profiles/farm/eapi": b"5\n",
    "profiles/farm/make.defaults": b'ARCH="amd64"\n',
    "metadata/layout.conf": b"masters =\ncache-formats = md5-dict\nthin-manifests = true\n",
}
_FAILED = re.compile(r"ERROR: (\S+)::farm-view failed.*\n(?: \*\s*\n)*(?: \* +(.+))?")


@dataclasses.dataclass(frozen=True, slots=True)
class Scanned:
    """Metadata of ebuilds, and of those that portage could not read, why."""

    found: Mapping[Cpv, Metadata]
    failed: Mapping[Cpv, str]


def scan(
    ebuilds: Mapping[Cpv, bytes], eclasses: Mapping[str, bytes], *, one: float = ONE, spare: float = 120.0
) -> Scanned:
    """Runs portage over ebuilds (→ content) with eclasses (name → content); ``spare`` seconds more than they need.

    When portage was stopped, or says nothing about some, a few of them are tried again by themselves: one of them
    may have taken what the others needed. FarmError ``no-portage``, ``no-bubblewrap``, ``confinement-failed``.
    """
    done, unclear = _scan(ebuilds, eclasses, one, spare)
    if len(ebuilds) < 2 or not unclear:
        return done
    found, failed = dict(done.found), dict(done.failed)
    for cpv in unclear[:ALONE]:
        again, _ = _scan({cpv: ebuilds[cpv]}, eclasses, one, min(spare, one))
        found |= again.found
        failed |= again.failed
    return Scanned(found, {cpv: why for cpv, why in failed.items() if cpv not in found})


def _scan(
    ebuilds: Mapping[Cpv, bytes], eclasses: Mapping[str, bytes], one: float, spare: float
) -> tuple[Scanned, list[Cpv]]:
    """Also gives those of which portage does not say why it could not read them."""
    jobs = len(os.sched_getaffinity(0))
    interpreter = _interpreter()
    seconds = spare + one + len(ebuilds) * 3
    how = Confinement(read_only=_programs(), seconds=seconds, memory=3 << 30, processes=256 + 8 * jobs)
    view = _view(ebuilds, eclasses)
    ended = run_confined([interpreter, "-I", _INSIDE, str(jobs), str(one)], how, view)
    found = dict(_results(ended, ebuilds))
    reasons = _reasons(ended)
    failed = {cpv: reasons.get(str(cpv), _why(ended)) for cpv in ebuilds if cpv not in found}
    return Scanned(found, failed), [cpv for cpv in failed if str(cpv) not in reasons]


def _interpreter() -> str:
    program = Path(sys.prefix, "bin", Path(sys.executable).name)
    if not (program.parent / "egencache").exists():
        raise error("no-portage", f"there is no egencache in {program.parent}",
                    hint="Install the Python package portage beside the farm.")  # fmt: skip
    return str(program)


def _programs() -> dict[str, Path]:
    folders = [Path(sys.base_prefix), Path(sys.prefix)]
    seen = {str(folder): folder for folder in folders if not folder.is_relative_to("/usr") or str(folder) != "/usr"}
    seen.pop("/usr", None)
    return {**seen, _INSIDE: Path(__file__).with_name("inside.py")}


def _view(ebuilds: Mapping[Cpv, bytes], eclasses: Mapping[str, bytes]) -> bytes:
    """A repository of just these ebuilds, as a tar."""
    files = dict(_VIEW)
    files["profiles/categories"] = "".join(f"{c}\n" for c in sorted({cpv.category for cpv in ebuilds})).encode()
    files |= {f"eclass/{name}.eclass": content for name, content in eclasses.items()}
    files |= {cpv.path: content for cpv, content in ebuilds.items()}
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for path, content in files.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


def _results(ended: Confined, asked: Mapping[Cpv, bytes]) -> Iterator[tuple[Cpv, Metadata]]:
    """The entries of the tar that came out, so far as they are of what was asked for."""
    from farm.kit.ebuilds import md5

    wanted = {str(cpv): cpv for cpv in asked}
    try:
        with tarfile.open(fileobj=io.BytesIO(ended.out)) as tar:
            for member in tar:
                cpv = wanted.get(member.name.removeprefix("./"))
                stream = tar.extractfile(member) if cpv and member.isfile() else None
                entry = parse_metadata(stream.read().decode("utf-8", "replace")) if stream else None
                if cpv and entry and entry.md5 == md5(asked[cpv]) and entry.keys.get("EAPI"):
                    yield cpv, entry
    except tarfile.TarError:
        return


def _reasons(ended: Confined) -> dict[str, str]:
    text = ended.err.decode("utf-8", "replace")
    return {found[1]: (found[2] or "").strip() for found in _FAILED.finditer(text)}


def _why(ended: Confined) -> str:
    if ended.stopped == "timeout":
        return "took too long"
    lines: Sequence[str] = [line for line in ended.err.decode("utf-8", "replace").splitlines() if line.strip()]
    said = [line for line in lines if "rror" in line and "Error processing" not in line]
    return (said or ["portage gives no reason (killed, or took too long)"])[-1].strip(" *")[:300]
