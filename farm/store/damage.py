# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows when an object's bytes are not its own: results that may have been made from them are withdrawn.

What was before what is told by numbers that only grow, not by a clock, which can be set back: each result that is
recorded gets the next one, and an object that is made or verified remembers the last that was given (table ``good``).
A result with a higher number, or none, may have read the damage. Only results that read the object *itself* are
withdrawn: what read those in turn is recorded under the digests of what it read, and stays right. See docs/store.md.
"""

from __future__ import annotations

import dataclasses
import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from farm.spec.problem import Problem, error
from farm.store.records import Records

Names = Callable[[Sequence[str]], Mapping[str, str]]
"""What keys are the keys of, as far as that is known."""

_OWN = ("context", "flatten", "skeleton")
"""Kinds of what store and runners make for themselves: a job's document names what went in, not the layer."""

AGAIN = "build once more: it is made again"
"""How to mend that something was damaged, or is gone."""

_DIGEST = re.compile(r"\b[0-9a-f]{64}\b")


@dataclasses.dataclass(frozen=True, slots=True)
class Withdrawn:
    """A result that is no longer in the cache. ``made``: when, in seconds since 1970; None: not known."""

    key: str
    kind: str
    made: float | None


@dataclasses.dataclass(frozen=True, slots=True)
class Damage:
    """A damaged object. ``good``: when it was last known to be sound, as above. ``aside``: where to it was moved."""

    kind: str
    digest: str
    aside: Path | None
    good: float | None
    withdrawn: tuple[Withdrawn, ...]

    def problems(self, names: Mapping[str, str]) -> Iterator[Problem]:
        """The damage, then a warning for each result. ``names``: what keys are the keys of."""
        done = f"it was put aside as {self.aside} and will be made again" if self.aside else "it is left as it is"
        yield Problem(f"damaged-{self.kind}", f"{self.kind} {self.digest} is damaged; {done}")
        fate = "is withdrawn and will be made again" if self.aside else "would be withdrawn"
        since = f"since it was last known to be good, {_when(self.good)}" if self.good else "at some time"
        for one in self.withdrawn:
            name = names.get(one.key) or f"the {one.kind} {one.key}"
            message = f"{name}, made {_when(one.made)}, read {self.kind} {self.digest} {since}: its result {fate}"
            yield Problem("withdrawn-result", message, severity="warning")


def last_result(records: Records) -> int:
    """The number of the result that was recorded last."""
    return int(records.ask("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'made'")[0][0])


def number_all(records: Records) -> None:
    """Gives numbers to results that an older farm recorded: they are there by now."""
    records.tell(
        "INSERT INTO made(key, at) SELECT key, ? FROM actions"
        " WHERE result IS NOT NULL AND key NOT IN (SELECT key FROM made)",
        [(0.0,)],
    )


def last_damage(records: Records) -> int:
    """The number of the damage that was found last."""
    return int(records.ask("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'damage'")[0][0])


def note_good(records: Records, kind: str, digest: str, number: int) -> None:
    """Remembers that the object was verified after the result of that number was recorded."""
    records.tell("INSERT OR REPLACE INTO good VALUES (?, ?, ?, ?)", [(kind, digest, number, time.time())])


def refuse_damaged(records: Records, document: str, since: int) -> None:
    """FarmError ``damaged-input``, transient, when what the document reads was found damaged after ``since``."""
    rows = records.ask("SELECT kind, digest, names FROM damage WHERE number > ?", (since,))
    for kind, digest, names in rows:
        if _reads(document, json.loads(names)):
            message = f"{kind} {digest} was found damaged while this was made from it"
            raise error("damaged-input", message, hint=AGAIN, transient=True)


def judge(records: Records, kind: str, digest: str) -> tuple[float | None, list[Withdrawn]]:
    """When the object was last known to be good, and the results that may have read it damaged."""
    at, found, _ = _judged(records, kind, digest)
    return at, found


def _judged(records: Records, kind: str, digest: str) -> tuple[float | None, list[Withdrawn], list[str]]:
    """The same, and the digests by which documents name the object."""
    known = records.ask("SELECT number, at FROM good WHERE kind = ? AND digest = ?", (kind, digest))
    number, at = known[0] if known else (0, None)
    origins = _origins(records, kind, digest)
    names = _names(digest, origins)
    rows = records.ask(
        "SELECT actions.key, made.at FROM actions LEFT JOIN made ON made.key = actions.key"
        " WHERE result IS NOT NULL AND (made.number IS NULL OR made.number > ?) ORDER BY made.number, actions.key",
        (number,),
    )
    late = {key: made for key, made in rows if key not in origins}
    kinds = {key: _kind(text) for key, text in records.documents(list(late)) if _reads(text, names)}
    return at, [Withdrawn(key, kinds[key], made) for key, made in late.items() if key in kinds], names


def withdraw(records: Records, kind: str, digest: str) -> tuple[float | None, list[Withdrawn]]:
    """Takes those results out of the cache, and remembers them and the damage."""
    with records.writing():
        at, found, names = _judged(records, kind, digest)
        results = records.results([one.key for one in found])
        row = (kind, digest, time.time(), json.dumps(names), json.dumps(results))
        records.tell("INSERT INTO damage(kind, digest, found, names, withdrawn) VALUES (?, ?, ?, ?, ?)", [row])
        records.tell("UPDATE actions SET result = NULL WHERE key = ?", [(one.key,) for one in found])
    return at, found


def told(damages: Iterable[Damage], names: Names | None) -> list[Problem]:
    """All of them as problems."""
    found = list(damages)
    keys = [one.key for damage in found for one in damage.withdrawn]
    known = names(keys) if names and keys else {}
    return [problem for damage in found for problem in damage.problems(known)]


def _origins(records: Records, kind: str, digest: str) -> dict[str, str]:
    """Documents by key, of what store or runners made for themselves and is this object."""
    if kind != "layer":
        return {}
    query = "SELECT key, document FROM actions WHERE result LIKE ?"
    rows = records.ask(query, (f'%"layer": "{digest}"%',))
    return {key: text for key, text in rows if _kind(text) in _OWN}


def _names(digest: str, origins: Mapping[str, str]) -> list[str]:
    """The digests one of which is in every document of what reads the object; none: every document may be one."""
    inputs = [_DIGEST.findall(text) for text in origins.values()]
    return sorted({digest}.union(*inputs)) if all(inputs) else []


def _reads(document: str, names: Sequence[str]) -> bool:
    return not names or any(name in document for name in names)


def _kind(document: str) -> str:
    return str(json.loads(document).get("kind", "result"))


def _when(at: float | None) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at)) if at else "nobody knows when"
