# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings the tarball of an ``http`` source to its place in the cache, verifies it, and gives it to the store."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import hashlib
import json
import os
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from farm.plan.job import Work
from farm.plan.node import Result
from farm.spec.problem import error
from farm.spec.whole import write_whole
from farm.store.download import Say, download

if TYPE_CHECKING:
    from farm.store.store import Store

_TIMEOUT = 30
_SAME = ("ETag", "Last-Modified", "Content-Length")


class Download:
    """``target`` is downloaded when it is not there, or is not what ``sha256`` says; a broken download goes on."""

    def identify(self, work: Work) -> Work:
        """Looked at in each run, also in one that goes on with another."""
        return looked_at_anew(work)

    def make(self, work: Work, store: Store, log: Path, cancel: threading.Event) -> Result:
        """FarmError ``download-failed``, ``source-digest-mismatch``, ``bad-signature``, ``not-a-file``."""
        target = Path(work.setting("target"))
        with _saying(log) as say, store.lock(f"metro-{target}"), room_for(target):

            def verify(file: Path) -> None:
                if work.setting("key"):
                    _verify_signature(work, file, store, cancel, say)

            if _is_there(target, work.setting("sha256"), say):
                say(f"File {target} is already present. Nothing to do.")
                verify(target)
            else:
                _bring(work, target, cancel, say, verify)
            blob = _digest(target)
            if not store.has_blob(blob):
                store.put_blob(target, blob)
            say(f"sha256 {blob}")
        return Result(blob=blob, size=store.blob_path(blob).stat().st_size)


def looked_at_anew(work: Work) -> Work:
    """``work`` under a key that nothing was ever made under."""
    return dataclasses.replace(work, settings=(*work.settings, ("look", uuid.uuid4().hex)))


def _is_there(target: Path, sha256: str, say: Say) -> bool:
    if not target.exists():
        return False
    if not target.is_file():
        raise error("not-a-file", f"{target} is no file", hint="remove it, or name another target")
    if not sha256 or _digest(target) == sha256:
        return True
    say(f"{target} is not what sha256 says: it is downloaded again")
    return False


def _bring(work: Work, target: Path, cancel: threading.Event, say: Say, verify: Callable[[Path], None]) -> None:
    """The file gets its name when it is whole and right."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part, uri, sha256 = target.with_name(f".{target.name}.part"), work.setting("uri"), work.setting("sha256")
    _same_file_only(uri, part)
    say(f"fetching {uri}")
    download(uri, part, cancel, say)
    if sha256 and (found := _digest(part)) != sha256:
        _forget(part)
        raise error("source-digest-mismatch", f"{uri} has sha256 {found}, expected {sha256}")
    verify(part)
    with open(part, "rb") as file:
        os.fsync(file.fileno())
    part.replace(target)
    _forget(part)


def _same_file_only(uri: str, part: Path) -> None:
    """What is there of a download stays only if the server says that it still has the same file."""
    note = part.with_name(f"{part.name}.of")
    told = _identity(uri)
    known = note.read_text() if note.is_file() else ""
    if part.exists() and (not told or known != told):
        part.unlink()
    write_whole(note, told.encode())


def _identity(uri: str) -> str:
    """What a server says of a file without sending it; empty when it says nothing of use."""
    if not uri.startswith(("http:", "https:")):
        return ""
    import requests

    try:
        answer = requests.head(uri, timeout=_TIMEOUT, allow_redirects=True, headers={"Accept-Encoding": "identity"})
    except requests.RequestException:
        return ""
    said = {name: answer.headers[name] for name in _SAME if name in answer.headers}
    useful = answer.ok and ("ETag" in said or "Last-Modified" in said)
    return json.dumps([uri, said]) if useful else ""


def _forget(part: Path) -> None:
    part.unlink(missing_ok=True)
    part.with_name(f"{part.name}.of").unlink(missing_ok=True)


def _verify_signature(work: Work, target: Path, store: Store, cancel: threading.Event, say: Say) -> None:
    from farm.store.keys import read_public
    from farm.store.signature import verify_digest

    with open(target, "rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.blake2b()).digest()
    key = read_public(work.setting("key"), "the source's key")
    with store.scratch("signature") as folder:
        download(work.setting("signature"), folder / "signature", cancel, say)
        verify_digest(digest, (folder / "signature").read_bytes(), [key])


@contextlib.contextmanager
def room_for(path: Path) -> Iterator[None]:
    """A full disk is told as that of ``path``, which need not be the store's. FarmError ``disk-full``."""
    try:
        yield
    except OSError as fault:
        if fault.errno in (errno.ENOSPC, errno.EDQUOT):
            raise error("disk-full", f"no room on the disk for {path}") from fault
        raise


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def _saying(log: Path) -> Iterator[Say]:
    with open(log, "a", encoding="utf-8") as out:

        def say(line: str) -> None:
            with contextlib.suppress(ValueError):
                print(line, file=out, flush=True)

        yield say
