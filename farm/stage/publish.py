# SPDX-License-Identifier: GPL-3.0-or-later
"""Gives a stage out: its files into the layout, and then, in one step, the link to the newest.

Killed at any moment: files appear whole; a release without ``.build-info.json`` is incomplete, is linked by nothing,
and is completed by the next run. A complete release is never changed: other bytes of the same date are a new version.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from farm.engine.origin import Known
from farm.stage.deliver import BESIDE, Delivered, beside, put_output
from farm.stage.documents import bill, build_info, stage_key
from farm.stage.layout import INFO, LATEST, Edition, Layout
from farm.stage.model import SUFFIX
from farm.store.outputs import PART, put_bytes
from farm.store.signature import SecretKey

if TYPE_CHECKING:
    from farm.stage.plan import PlannedStage
    from farm.store.store import Store


@dataclasses.dataclass(frozen=True, slots=True)
class Published:
    """A stage that was given out. ``new``: it was not there before, with the same bytes."""

    stage: str
    version: str
    folder: Path
    outputs: tuple[Delivered, ...]
    new: bool


def choose_version(stages: Sequence[PlannedStage], known: Known, layout: Layout, date: str) -> str:
    """``date``, or ``date-r1`` and so on where a complete release of that version is another stage."""
    number = 0
    while True:
        version = f"{date}-r{number}" if number else date
        if all(_is_free(one, known, layout, version) for one in stages):
            return version
        number += 1


def publish(
    planned: PlannedStage, known: Known, store: Store, layout: Layout, version: str, key: SecretKey | None
) -> Published:
    """Gives the stage out as ``version``. FarmError ``not-delivered``, ``disk-full``."""
    release = planned.stage.release
    folder = layout.folder(release) / version
    with layout.lock():
        before = next((one for one in layout.editions(release) if one.version == version), None)
        _sweep(folder, planned)
        outputs = tuple(put_outputs(planned, known, store, folder, release.stem(version), key))
        info = build_info(planned, known, version, outputs, key.public.hex if key else "")
        _put_latest_folder(planned, folder, version)
        put_bytes(folder / f"{release.stem(version)}{INFO}", _text(info))
        switch_latest(layout, planned, version)
    return Published(planned.stage.name, version, folder, outputs, not (before and before.complete))


def put_outputs(
    planned: PlannedStage, known: Known, store: Store, folder: Path, stem: str, key: SecretKey | None
) -> Iterator[Delivered]:
    """Puts all outputs into ``folder``, or where they have a path of their own."""
    for output, nodes in planned.outputs:
        made = {name: known.results[node] for name, node in nodes.items()}
        file = output.path or folder / f"{stem}{SUFFIX[output.format]}"
        yield put_output(output, made, store, file, lambda name, sha: bill(planned, known, name, sha), key)


def switch_latest(layout: Layout, planned: PlannedStage, version: str) -> None:
    """Makes the ``latest`` links lead to ``version``: all of them follow one link, which is renamed into place."""
    release = planned.stage.release
    folder = layout.folder(release)
    link = layout.latest_folder(release)
    _put_link(link, f"{version}/{link.name}")
    names = sorted(path.name for path in (folder / version / link.name).iterdir())
    for name in names:
        _put_link(folder / name, f"{link.name}/{name}")
    _drop_dangling(folder, link.name)


def _is_free(planned: PlannedStage, known: Known, layout: Layout, version: str) -> bool:
    """Whether the version is not there, is incomplete, or is this very stage."""
    found = next((one for one in layout.editions(planned.stage.release) if one.version == version), None)
    return found is None or found.info is None or found.info.get("key") == stage_key(planned, known)


def unchanged(planned: PlannedStage, known: Known, layout: Layout) -> Edition | None:
    """The newest version, where it is this very stage already."""
    latest = layout.latest(planned.stage.release)
    same = latest and latest.info and latest.info.get("key") == stage_key(planned, known)
    return latest if same else None


def _put_latest_folder(planned: PlannedStage, folder: Path, version: str) -> None:
    """A folder of links to the files of this version, and of digest files that name the links.

    It is in the version's folder, so a switch of one link switches all names, and each digest fits its file.
    """
    release = planned.stage.release
    place = folder / f"{release.target}{LATEST}"
    place.mkdir(exist_ok=True)
    for output, _ in planned.outputs:
        if output.path:
            continue
        suffix = SUFFIX[output.format]
        file, name = folder / f"{release.stem(version)}{suffix}", f"{place.name}{suffix}"
        _put_link(place / name, f"../{file.name}")
        for end in BESIDE:
            other = beside(file, end)
            if not other.exists():
                continue
            if end in (".sha256", ".sha512"):
                put_bytes(place / f"{name}{end}", other.read_bytes().replace(file.name.encode(), name.encode()))
            else:
                _put_link(place / f"{name}{end}", f"../{other.name}")
    _put_link(place / f"{place.name}{INFO}", f"../{release.stem(version)}{INFO}")


def _put_link(link: Path, target: str) -> None:
    with contextlib.suppress(OSError):
        if str(link.readlink()) == target:
            return
    new = link.with_name(f".{link.name}{PART}")
    new.unlink(missing_ok=True)
    new.symlink_to(target)
    new.replace(link)


def _drop_dangling(folder: Path, latest: str) -> None:
    """Removes links to names that the newest version does not have."""
    for path in folder.iterdir():
        if path.is_symlink() and str(path.readlink()).startswith(f"{latest}/") and not path.exists():
            path.unlink()


def _sweep(folder: Path, planned: PlannedStage) -> None:
    """Removes what a killed run left unfinished of this stage."""
    from farm.store.removal import remove_tree

    stem = f".{planned.stage.release.target}-"
    if folder.is_dir():
        for path in folder.iterdir():
            if path.name.startswith(stem) and path.name.endswith(PART):
                remove_tree(path)


def _text(document: object) -> bytes:
    return json.dumps(document, indent=1, ensure_ascii=False).encode() + b"\n"
