# SPDX-License-Identifier: GPL-3.0-or-later
"""All packages of a specification: several at a time, in the order of the file, and one failure is one package's."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import functools
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from farm.kit.autogen.access import Endpoints, Tokens
from farm.kit.autogen.engines import engine_of
from farm.kit.autogen.extensions.protocol import Bench
from farm.kit.autogen.extensions.registry import get_extension
from farm.kit.autogen.generators.protocol import Surroundings
from farm.kit.autogen.generators.registry import get_generator
from farm.kit.autogen.model import Atom, Definition, Specification
from farm.kit.autogen.package import Chosen, Generated, Maker, Present
from farm.kit.autogen.web import Web
from farm.kit.distfiles.fetching import Distfiles
from farm.spec.problem import FarmError, Problem, error
from farm.store.download import Say

if TYPE_CHECKING:
    from farm.kit.autogen.scripts import Scripts
    from farm.store.store import Store

Status = Literal["generated", "present", "failed", "skipped"]


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one package. ``version`` is empty when none was chosen; ``skipped``: another one failed first."""

    definition: str
    atom: Atom
    status: Status
    version: str = ""
    generated: Generated | None = None
    problems: tuple[Problem, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As plain data for ``--json``."""
        return {
            "definition": self.definition,
            "package": self.atom.catpkg,
            "status": self.status,
            "version": self.version,
            "distfiles": [got.distfile.name for got in self.generated.distfiles] if self.generated else [],
            "problems": [problem.to_json() for problem in self.problems],
        }


@dataclasses.dataclass(frozen=True)
class Workshop:
    """What a run works with. ``scripts`` None: custom scripts are refused."""

    store: Store
    tokens: Tokens
    endpoints: Endpoints
    cancel: threading.Event
    say: Say
    scripts: Scripts | None = None
    concurrency: int = 3
    kinds: Sequence[str] = ("BLAKE2B", "SHA512")

    def web(self) -> Web:
        """The small requests of the run; what servers said is kept beside the store's other things."""
        return Web(self.store.root / "web", self.tokens, cancel=self.cancel, say=self.say)

    def bench(self, definition: Definition, name: str, specfile: Path, distfiles: Distfiles) -> Bench:
        """What an extension of ``definition`` works with."""
        return Bench(
            distfiles,
            self.endpoints,
            self.tokens,
            definition.extensions[name].options,
            specfile,
            self.cancel,
            self.say,
            self.scripts,
            self.concurrency,
        )


def generate(
    specification: Specification,
    workshop: Workshop,
    *,
    packages: Sequence[str] = (),
    present: Present = lambda _chosen: False,
    stop_on_error: bool = False,
    report: Callable[[Outcome], None] = lambda _outcome: None,
) -> list[Outcome]:
    """Generates all packages, or those named in ``packages`` (``name`` or ``category/name``): an outcome each.

    ``report`` hears of each as it is done, in any order. FarmError ``unknown-package``, and what is wrong with a
    definition as a whole.
    """
    wanted = _wanted(specification, packages)
    token = workshop.tokens.for_url
    distfiles = Distfiles(workshop.store, workshop.cancel, workshop.say, kinds=workshop.kinds, token=token)
    web = workshop.web()
    makers = {id(definition): _Makers(definition, specification, workshop, web, distfiles) for definition, _ in wanted}
    stop = threading.Event()

    def one(definition: Definition, atom: Atom) -> Outcome:
        if stop.is_set() or workshop.cancel.is_set():
            outcome = Outcome(definition.name, atom, "skipped")
        else:
            outcome = _one(makers[id(definition)], definition, atom, present)
        if outcome.status == "failed" and stop_on_error:
            stop.set()
        report(outcome)
        return outcome

    with _pool(workshop) as pool:
        started: list[Future[Outcome]] = [pool.submit(one, definition, atom) for definition, atom in wanted]
        return [future.result() for future in started]


class _Makers:
    """The maker of a definition, made once; what is wrong with it is wrong for each of its packages."""

    def __init__(
        self, definition: Definition, specification: Specification, workshop: Workshop, web: Web, distfiles: Distfiles
    ) -> None:
        self._make = functools.partial(_maker, definition, specification, workshop, web, distfiles)
        self._lock = threading.Lock()
        self._maker: Maker | None = None

    def get(self) -> Maker:
        with self._lock:
            if self._maker is None:
                self._maker = self._make()
            return self._maker


def _maker(
    definition: Definition, specification: Specification, workshop: Workshop, web: Web, distfiles: Distfiles
) -> Maker:
    around = Surroundings(web, workshop.endpoints, definition.options, specification.file, workshop.scripts)
    used = sorted({name for atom in definition.atoms for name in atom.extensions})
    extensions = {
        name: get_extension(
            definition.extensions[name].name, workshop.bench(definition, name, specification.file, distfiles)
        )
        for name in used
    }
    generator = get_generator(definition.generator, around)
    engine = engine_of(definition.engine)
    return Maker(specification.file, generator, engine, definition.engine_options, extensions, distfiles)


def _one(makers: _Makers, definition: Definition, atom: Atom, present: Present) -> Outcome:
    chosen: Chosen | None = None
    try:
        maker = makers.get()
        chosen = maker.choose(atom)
        if present(chosen):
            return Outcome(definition.name, atom, "present", chosen.cpv.version)
        return Outcome(definition.name, atom, "generated", chosen.cpv.version, maker.make(chosen))
    except FarmError as failure:
        problems = tuple(dataclasses.replace(p, package=p.package or atom.catpkg) for p in failure.problems)
    except OSError as fault:
        problems = (Problem("system-error", f"{atom.name}: {fault}", atom.place, package=atom.catpkg),)
    except Exception as fault:  # noqa: BLE001  what nobody expected of one package must not stop the others
        problems = (_unexpected(atom, fault),)
    return Outcome(definition.name, atom, "failed", chosen.cpv.version if chosen else "", problems=problems)


def _unexpected(atom: Atom, fault: Exception) -> Problem:
    """A fault of the farm's own, or an answer of a server in a form that nobody foresaw; with where it came up."""
    frames = traceback.extract_tb(fault.__traceback__)
    where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    message = f"{atom.name}: {type(fault).__name__}: {fault}{where}"
    hint = "an answer of a server may have a form that is not foreseen; otherwise it is a fault of the farm"
    return Problem("unexpected", message, atom.place, hint, package=atom.catpkg)


def _wanted(specification: Specification, packages: Sequence[str]) -> list[tuple[Definition, Atom]]:
    everything = [(definition, atom) for definition in specification.definitions for atom in definition.atoms]
    names = {name for _, atom in everything for name in (atom.name, atom.catpkg)}
    unknown = [package for package in packages if package not in names]
    if unknown:
        near = difflib.get_close_matches(unknown[0], sorted(names), 1)
        hint = f"did you mean {near[0]}?" if near else ""
        raise error("unknown-package", f"the specification has no {', '.join(unknown)}", hint=hint)
    asked = set(packages)
    return [pair for pair in everything if not asked or asked & {pair[1].name, pair[1].catpkg}]


@contextlib.contextmanager
def _pool(workshop: Workshop) -> Iterator[ThreadPoolExecutor]:
    """A pool whose work is called off when its owner is interrupted."""
    pool = ThreadPoolExecutor(max(workshop.concurrency, 1), "autogen")
    try:
        yield pool
    except BaseException:
        workshop.cancel.set()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
