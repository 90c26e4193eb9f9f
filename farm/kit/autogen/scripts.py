# SPDX-License-Identifier: GPL-3.0-or-later
"""Custom scripts, run by a runner of the farm in a root of their own: no home, no socket, no file of this host.

A script lies with its neighbours in the job's folder, as does all that it reads and writes. The protocol is
mark-devkit's: ``SCRIPT [MODE] INPUT.yml OUTPUT.yml``.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import stat
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from farm.kit.autogen.model import Atom
from farm.kit.autogen.values import Artefact
from farm.kit.distfiles.patience import patiently
from farm.plan.job import WORKDIR, ArchiveInput, FileInput, Job, Limits, Seed
from farm.spec.problem import error
from farm.spec.yamltext import TEXT, parse

if TYPE_CHECKING:
    from farm.runner.protocol import Runner
    from farm.store.store import Store

DEFAULT_SEED = Seed(
    "debootstrap",
    suite="host",
    packages=("ca-certificates", "curl", "git", "jq", "python3", "python3-requests", "python3-yaml", "xz-utils"),
    date="autogen",
)
"""The root of scripts unless farm.yaml names another: Debian's base with what such scripts are seen to use."""

MAX_OUTPUT = 4 << 20
MAX_NEIGHBOURS = 16 << 20
_LIMITS = Limits(memory=2 << 30, processes=512, timeout=1800.0, silent_timeout=600.0)
_ENVIRONMENT = (("HOME", WORKDIR), ("LANG", "C.UTF-8"), ("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"))
_DOWNLOADS = f"{WORKDIR}/downloads"
_LOG_LINES = 20
_SHAPE = {"vars": {"versions": [TEXT]}, "artefacts": [dict.fromkeys(("url", "name", "use"), TEXT)]}


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """What a script wrote; ``files`` are those it left in the folder of downloads, by name."""

    values: Mapping[str, Any]
    artefacts: tuple[Artefact, ...]
    files: Mapping[str, Path] = dataclasses.field(default_factory=dict)


class Scripts:
    """Runs scripts on one runner, in the root that ``seed`` makes. ``network``: they all may use it. Thread-safe."""

    def __init__(
        self, store: Store, runner: Runner, seed: Seed, cancel: threading.Event, *, network: bool = False
    ) -> None:
        self.store = store
        self.runner = runner
        self.cancel = cancel
        self.network = network
        self._seed = seed
        self._mutex = threading.Lock()
        self._root: str | None = None

    def run(
        self,
        script: Path,
        words: Sequence[str],
        atom: Atom,
        values: Mapping[str, Any],
        *,
        network: bool = False,
        downloads: Mapping[str, Path] | None = None,
    ) -> Answer:
        """Runs a script for one package. FarmError ``no-script``, ``script-failed`` with the end of what it said."""
        if not script.is_file():
            raise error("no-script", f"{script} is no file", place=atom.place)
        document = {"name": atom.name, "atom": dict(atom.written), "vars": dict(values)}
        job = Job(
            layers=(self._layer(),),
            inputs=tuple(self._inputs(script, document, downloads or {})),
            steps=(" ".join([f"./script/{_quoted(script.name)}", *words, "./input.yml", "./output.yml"]),),
            env=_ENVIRONMENT,
            network=network or self.network,
            keep_workdir=True,
            limits=_LIMITS,
        )
        with self._log() as log:
            outcome = patiently(lambda: self.runner.run(job, self.store, log, self.cancel), self.cancel)
            if outcome.status == "cancelled":
                raise error("cancelled", "the script was stopped")
            if outcome.status != "ok" or outcome.layer is None:
                said = "\n".join(log.read_text("utf-8", "replace").splitlines()[-_LOG_LINES:])
                hint = "" if job.network else 'it had no network; allow it with network: "true" in its options'
                message = f"{atom.name}: {script.name} {' '.join(words)}: {outcome.status}\n{said}".rstrip()
                raise error("script-failed", message, place=atom.place, hint=hint)
        return self._answer(self.store.layer_path(outcome.layer), atom, script, downloads or {})

    def _layer(self) -> str:
        """The layer of the root, made when it is first needed."""
        from farm.runner.seed import identify, make_seed

        with self._mutex, self._log() as log:
            if self._root is None:
                self._root = make_seed(identify(self._seed), self.store, log, self.cancel).layer
            assert self._root is not None, "a seed is a layer"
            return self._root

    def _inputs(
        self, script: Path, document: Mapping[str, Any], downloads: Mapping[str, Path]
    ) -> Iterator[FileInput | ArchiveInput]:
        for path in _neighbours(script):
            digest = self.store.put_blob(path)
            mode = 0o755 if path == script or os.access(path, os.X_OK) else 0o644
            yield FileInput(f"{WORKDIR}/script/{path.name}", digest, mode)
        yield FileInput(_DOWNLOADS)
        for name, path in sorted(downloads.items()):
            yield FileInput(f"{_DOWNLOADS}/{name}", self.store.put_blob(path))
        text = yaml.safe_dump(document, sort_keys=True, allow_unicode=True, width=1 << 16)
        yield FileInput(f"{WORKDIR}/input.yml", self.store.put_blob(text.encode()))

    @contextlib.contextmanager
    def _log(self) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="farm-script-") as folder:
            yield Path(folder) / "log"

    def _answer(self, layer: Path, atom: Atom, script: Path, given: Mapping[str, Path]) -> Answer:
        folder = layer / WORKDIR.lstrip("/")
        data = _read_yaml(folder / "output.yml", atom, script)
        artefacts = data.get("artefacts") or ()
        values = data.get("vars") or {}
        if not isinstance(values, dict) or not all(isinstance(entry, dict) for entry in artefacts):
            hint = "it is {vars: {versions: [...]}, artefacts: [{url, name, use}]}"
            raise error("bad-script-output", f"{atom.name}: what {script.name} wrote has another form", hint=hint)
        made = tuple(
            Artefact(
                (entry.get("url") or "",),
                entry.get("name") or "",
                entry.get("use") or "",
                local=bool(entry.get("local")),
            )
            for entry in artefacts
        )
        files = {path.name: path for path in _regular(folder / "downloads") if path.name not in given}
        return Answer(values, made, files)


def _neighbours(script: Path) -> list[Path]:
    """The files of the script's folder, the script first. FarmError ``script-too-large``."""
    found = [script, *(path for path in _regular(script.parent) if path != script)]
    if sum(path.stat().st_size for path in found) > MAX_NEIGHBOURS:
        hint = "put the script into a folder of its own"
        raise error("script-too-large", f"{script.parent} has more than {MAX_NEIGHBOURS >> 20} MiB", hint=hint)
    return found


def _regular(folder: Path) -> list[Path]:
    """Regular files of a folder by name; links are left out."""
    if not folder.is_dir() or folder.is_symlink():
        return []
    return sorted(path for path in folder.iterdir() if stat.S_ISREG(path.lstat().st_mode))


def _read_yaml(path: Path, atom: Atom, script: Path) -> dict[str, Any]:
    """What the script wrote, which may be anything: no link is followed, no more than `MAX_OUTPUT` is read."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            content = file.read(MAX_OUTPUT + 1) if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else b""
    except OSError:
        content = b""
    if not content:
        message = f"{atom.name}: {script.name} wrote no output.yml"
        raise error("bad-script-output", message, place=atom.place, hint="its last argument is the file to write")
    if len(content) > MAX_OUTPUT:
        raise error("bad-script-output", f"{atom.name}: {script.name} wrote more than {MAX_OUTPUT >> 20} MiB")
    parsed = parse(content.decode("utf-8", "replace"), f"{script.name}'s output", _SHAPE)
    if parsed.problems or not isinstance(parsed.data, dict):
        reason = parsed.problems[0].message if parsed.problems else "it is no mapping"
        raise error("bad-script-output", f"{atom.name}: {script.name}: output.yml: {reason}", place=atom.place)
    return parsed.data


def _quoted(name: str) -> str:
    import shlex

    return shlex.quote(name)
