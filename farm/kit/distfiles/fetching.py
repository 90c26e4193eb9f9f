# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings distfiles into the store, once: by digest where it is known, else by what the server says has not changed.

A record of each file lies in ``STORE/distfiles``: ``url/SHA256-OF-THE-URL`` for what an address had, ``SHA512/HEX`` and
so on for what a digest stands for. The content is a blob of the store. A record whose blob is gone counts for nothing.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from farm.kit.distfiles.parts import forget_parts, part_of
from farm.kit.distfiles.patience import patiently
from farm.kit.manifest import DEFAULT_HASHES, Distfile, hash_file
from farm.spec.problem import FarmError, Problem, error
from farm.spec.whole import write_whole
from farm.store.download import Say, check_cancel, download

if TYPE_CHECKING:
    from farm.store.store import Store

MAX_SIZE = 8 << 30
"""Bytes of the largest distfile that is taken."""

_LOCKS = 3
"""Hex digits of an address's hash in a lock's name: lock files stay, so there must not be one for each address."""
_VALIDATORS = {"ETag": "If-None-Match", "Last-Modified": "If-Modified-Since"}


@dataclasses.dataclass(frozen=True, slots=True)
class Wanted:
    """A distfile: its name, where it may be (in this order), and what is known of it: hashes by GLEP 74's names."""

    name: str
    urls: tuple[str, ...]
    hashes: Mapping[str, str] = dataclasses.field(default_factory=dict)
    size: int | None = None
    user_agent: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Got:
    """A distfile that is there: its Manifest line, its blob in the store, and whether it had to be downloaded."""

    distfile: Distfile
    blob: str
    downloaded: bool


class Distfiles:
    """All distfiles of a run. Thread-safe; other farms may use the same store.

    ``kinds``: the hashes that lines get. What is asked for with known hashes has to have them. ``token``: what is
    shown to the host of an address, and to no other that it leads to.
    """

    def __init__(
        self,
        store: Store,
        cancel: threading.Event | None = None,
        say: Say = lambda _line: None,
        *,
        kinds: Sequence[str] = DEFAULT_HASHES,
        limit: int = MAX_SIZE,
        token: Callable[[str], str | None] = lambda _url: None,
    ) -> None:
        self.store = store
        self.cancel = cancel or threading.Event()
        self.say = say
        self.kinds = tuple(dict.fromkeys([*kinds, "SHA256"]))
        self.shown = tuple(kinds)
        self.limit = limit
        self.token = token
        self.records = store.root / "distfiles"

    def get(self, wanted: Wanted) -> Got:
        """The file, brought from the first address that has it as it should be.

        FarmError ``distfile-mismatch``, ``distfile-unavailable`` (each names all addresses and what they said),
        ``cancelled``.
        """
        with self.store.lock(f"distfile-{_key(wanted.urls[0] if wanted.urls else wanted.name)[:_LOCKS]}"):
            if known := self._by_digest(wanted):
                return known
            return patiently(_Attempt(self, wanted).round, self.cancel)

    def add(self, file: Path, name: str) -> Got:
        """Takes a file that was made here. OSError."""
        return self._take(file, Wanted(name, ()), downloaded=False)

    def remembered(self, kind: str, digest: str, name: str) -> Got | None:
        """A file by a digest of another kind, which `remember` noted."""
        record = self._record(self.records / kind / digest.replace("/", "_"))
        if record is None or not self.store.has_blob(record["SHA256"]):
            return None
        return Got(self._line(record, name), record["SHA256"], False)

    def remember(self, kind: str, digest: str, got: Got) -> None:
        """Notes that a file has this digest, too (which the caller has checked)."""
        record = self._record(self.records / "SHA256" / got.blob)
        if record is not None:
            self._write(self.records / kind / digest.replace("/", "_"), record)

    def place(self, got: Got, folder: Path, name: str = "") -> Path:
        """Puts the file into a folder under its name, in one step. What is there with the same size and hash stays."""
        target = folder / (name or got.distfile.name)
        folder.mkdir(parents=True, exist_ok=True)
        if target.is_file() and not target.is_symlink() and _is(target, got.distfile):
            return target
        part = part_of(target)
        forget_parts(target)
        try:
            _copy(self.store.blob_path(got.blob), part)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
        return target

    def _by_digest(self, wanted: Wanted) -> Got | None:
        for kind in ("SHA512", "BLAKE2B", "SHA256"):
            if digest := wanted.hashes.get(kind):
                record = self._record(self.records / kind / digest)
                if record and self.store.has_blob(record["SHA256"]) and _agrees(record, wanted):
                    return Got(self._line(record, wanted.name), record["SHA256"], False)
        return None

    def _take(self, file: Path, wanted: Wanted, *, downloaded: bool) -> Got:
        """Hashes a whole file in one pass, checks it, and takes it in. FarmError ``distfile-mismatch``."""
        line = hash_file(file, wanted.name, tuple(dict.fromkeys([*self.kinds, *wanted.hashes])))
        if wanted.size is not None and line.size != wanted.size:
            raise error("distfile-mismatch", f"{line.size} bytes, expected {wanted.size}")
        for kind, digest in wanted.hashes.items():
            if line.hashes[kind] != digest.lower():
                raise error("distfile-mismatch", f"{kind} is {line.hashes[kind]}, expected {digest.lower()}")
        blob = self.store.put_blob(file, line.hashes["SHA256"])
        record = {"size": line.size, **line.hashes}
        for kind in ("SHA512", "BLAKE2B", "SHA256"):
            if kind in line.hashes:
                self._write(self.records / kind / line.hashes[kind], record)
        return Got(self._line(record, wanted.name), blob, downloaded)

    def _line(self, record: Mapping[str, Any], name: str) -> Distfile:
        return Distfile(name, int(record["size"]), {kind: str(record[kind]) for kind in self.shown})

    def _record(self, path: Path) -> dict[str, Any] | None:
        try:
            record = json.loads(path.read_bytes())
        except (OSError, ValueError):
            return None
        whole = isinstance(record, dict) and all(kind in record for kind in self.kinds) and "size" in record
        return record if whole else None

    def _write(self, path: Path, record: Mapping[str, Any]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(record).encode())


@dataclasses.dataclass(slots=True)
class _Attempt:
    """All addresses of one file, tried in order; in rounds, as long as one of them may do better next time."""

    owner: Distfiles
    wanted: Wanted
    failures: dict[str, FarmError] = dataclasses.field(default_factory=dict)

    def round(self) -> Got:
        for url in self.wanted.urls:
            check_cancel(self.owner.cancel)
            before = self.failures.get(url)
            if before is None or before.transient:
                try:
                    return self._from(url)
                except FarmError as failure:
                    check_cancel(self.owner.cancel)
                    self.failures[url] = failure
        raise self._failed()

    def _from(self, url: str) -> Got:
        owner, wanted = self.owner, self.wanted
        if urlsplit(url).scheme not in ("http", "https"):
            raise error("download-failed", "only http and https are asked for distfiles")
        noted = owner.records / "url" / _key(url)
        record = owner._record(noted)
        usable = record is not None and owner.store.has_blob(record["SHA256"]) and _agrees(record, wanted)
        part = owner.store.root / "partial" / f"distfile-{_key(url)}"
        part.parent.mkdir(exist_ok=True)
        conditions = dict(_conditions(record)) if usable and record else {}
        if conditions:
            part.unlink(missing_ok=True)
        token = owner.token(url)
        headers = {
            **({"Authorization": f"Bearer {token}"} if token else {}),
            **conditions,
            **self._resume(part),
            **({"User-Agent": wanted.user_agent} if wanted.user_agent else {}),
        }
        heard: dict[str, str] = {}
        try:
            owner.say(f"downloading {url}")
            download(url, part, owner.cancel, owner.say, headers=headers, limit=owner.limit, heard=_note(part, heard))
        except FarmError as failure:
            if failure.code == "not-modified" and record is not None:
                return Got(owner._line(record, wanted.name), record["SHA256"], False)
            raise
        return self._accept(part, noted, heard)

    def _accept(self, part: Path, noted: Path, heard: Mapping[str, str]) -> Got:
        """Takes the whole file; one that is wrong is thrown away, so that nothing of it is continued."""
        try:
            got = self.owner._take(part, self.wanted, downloaded=True)
        finally:
            part.unlink(missing_ok=True)
            _validators_of(part).unlink(missing_ok=True)
        record = self.owner._record(self.owner.records / "SHA256" / got.blob)
        if heard and record is not None:
            self.owner._write(noted, {**record, **heard})
        return got

    def _resume(self, part: Path) -> dict[str, str]:
        """The condition under which the rest of ``part`` is wanted; without one, it is thrown away.

        Where a hash is known, no condition is needed: a file of two halves would be found out.
        """
        if not part.exists() or self.wanted.hashes:
            return {}
        try:
            tag = str(json.loads(_validators_of(part).read_bytes()).get("ETag", ""))
        except (OSError, ValueError):
            tag = ""
        if not tag or tag.startswith("W/"):
            part.unlink(missing_ok=True)
            return {}
        return {"If-Range": tag}

    def _failed(self) -> FarmError:
        failures = [(url, self.failures[url]) for url in self.wanted.urls if url in self.failures]
        mismatch = any(failure.code == "distfile-mismatch" for _, failure in failures)
        said = "".join(f"\n  {url}: {failure.problems[0].message}" for url, failure in failures)
        code = "distfile-mismatch" if mismatch else "distfile-unavailable"
        message = f"no address has {self.wanted.name} as it should be:{said or ' there is none'}"
        hint = "compare with what upstream publishes" if mismatch else "add another address, or a fallback mirror"
        return FarmError(Problem(code, message, hint=hint), transient=any(one.transient for _, one in failures))


def _note(part: Path, heard: dict[str, str]) -> Callable[[Mapping[str, str]], None]:
    """Writes down the validators beside the part before its first byte is there."""

    def note(headers: Mapping[str, str]) -> None:
        heard.update({name: headers[name] for name in _VALIDATORS if headers.get(name)})
        write_whole(_validators_of(part), json.dumps(heard).encode())

    return note


def _validators_of(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _conditions(record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, condition in _VALIDATORS.items():
        if record.get(name):
            yield condition, str(record[name])


def _agrees(record: Mapping[str, Any], wanted: Wanted) -> bool:
    same = all(record.get(kind) == digest.lower() for kind, digest in wanted.hashes.items())
    return same and wanted.size in (None, record["size"])


def _is(file: Path, line: Distfile) -> bool:
    return file.stat().st_size == line.size and hash_file(file, line.name, tuple(line.hashes)).hashes == line.hashes


def _copy(source: Path, target: Path) -> None:
    """A copy of its own, which shares the blocks where the file system can: who changes it changes no blob."""
    import shutil

    shutil.copyfile(source, target)
    target.chmod(0o644)


def _key(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()
