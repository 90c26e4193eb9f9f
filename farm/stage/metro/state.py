# SPDX-License-Identifier: GPL-3.0-or-later
"""What is remembered of a run that did not end well, so that the next one goes on from its last finished node.

``STORE/metro/<hash of file and job>.json``: ``once`` (in all keys of the run), ``moment`` (of its templates) and
``began``. It is written before anything runs and removed when all was made. Killed between the two, the next run finds
it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import hashlib
import json
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from farm.spec.problem import error
from farm.spec.whole import write_whole
from farm.store.session import DYING

if TYPE_CHECKING:
    from farm.store.store import Store

LASTS = datetime.timedelta(days=1)
"""How long a run can be gone on with: later, what it fetched is too old."""


@dataclasses.dataclass(frozen=True, slots=True)
class Run:
    """A run of a job: its own text, the moment that it takes for the present, and when it began.

    ``resumed``: an earlier run that is gone on with.
    """

    once: str
    moment: datetime.datetime
    began: datetime.datetime
    resumed: bool = False


def moment_of(environ: dict[str, str] | os._Environ[str], date: str | None = None) -> datetime.datetime | None:
    """The moment that the user asks for: ``date`` (ISO 8601), or ``SOURCE_DATE_EPOCH``. None: the present.

    FarmError ``bad-date``.
    """
    written = date or environ.get("SOURCE_DATE_EPOCH") or ""
    if not written:
        return None
    try:
        if date is None:
            return datetime.datetime.fromtimestamp(int(written), datetime.UTC)
        found = datetime.datetime.fromisoformat(written)
    except (ValueError, OverflowError, OSError) as fault:
        hint = "write --date 2026-11-27 or 2026-11-27T12:00:00, and seconds in SOURCE_DATE_EPOCH"
        raise error("bad-date", f"{written!r} is no date", hint=hint) from fault
    return found if found.tzinfo else found.replace(tzinfo=datetime.UTC)


@contextlib.contextmanager
def begun(
    store: Store, specfile: Path, job: str, wanted: datetime.datetime | None, *, fresh: bool = False
) -> Iterator[Run]:
    """The run of a job: the one that was left, or a new one. FarmError ``metro-busy``: it is running already.

    Call `finished` when everything was made; else the next run goes on with this one.
    """
    with store.lock(f"metro-run-{_name(specfile, job)}", wait=DYING) as held:
        if not held:
            raise error("metro-busy", f"job {job} of {specfile} is running already")
        now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
        left = None if fresh else _read(_file(store, specfile, job), now)
        if left is not None and wanted in (None, left.moment):
            yield left
            return
        yield Run(uuid.uuid4().hex, wanted or now, now)


def remember(store: Store, specfile: Path, job: str, run: Run) -> None:
    """Writes down that the run begins."""
    file = _file(store, specfile, job)
    file.parent.mkdir(exist_ok=True)
    times = {"moment": run.moment.isoformat(), "began": run.began.isoformat()}
    write_whole(file, json.dumps({"once": run.once, **times}).encode())


def finished(store: Store, specfile: Path, job: str) -> None:
    """Everything was made: the next run begins anew."""
    _file(store, specfile, job).unlink(missing_ok=True)


def _read(file: Path, now: datetime.datetime) -> Run | None:
    try:
        data = json.loads(file.read_bytes())
        moment, began = (datetime.datetime.fromisoformat(data[name]) for name in ("moment", "began"))
        run = Run(str(data["once"]), moment, began, resumed=True)
        return run if now - began < LASTS and moment.tzinfo else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _file(store: Store, specfile: Path, job: str) -> Path:
    return store.root / "metro" / f"{_name(specfile, job)}.json"


def _name(specfile: Path, job: str) -> str:
    return hashlib.sha256(f"{specfile}\0{job}".encode()).hexdigest()[:32]
