# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings the bytes of one URL into one file, going on where an earlier try stopped."""

from __future__ import annotations

import dataclasses
import errno
import os
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from farm.spec.problem import error
from farm.store.apt import HELPER

if TYPE_CHECKING:
    import requests

Say = Callable[[str], None]
Heard = Callable[[Mapping[str, str]], None]
"""Is told the headers of an answer before its body is written."""

_CHUNK = 1 << 18
_TIMEOUT = (15.0, 60.0)
_PROGRESS = 2.0
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})


def download(
    url: str,
    part: Path,
    cancel: threading.Event,
    say: Say,
    *,
    headers: Mapping[str, str] | None = None,
    insecure: bool = False,
    limit: int | None = None,
    heard: Heard | None = None,
) -> None:
    """One try to make ``part`` hold what ``url`` has; what ``part`` already holds is continued where that can be.

    ``headers`` go with an HTTP request; with ``insecure``, whatever certificate the server has is taken. Of a file
    with more than ``limit`` bytes nothing more is read. FarmError ``download-failed`` (``transient`` when another
    try may help), ``not-modified`` (the server says so, which conditions in ``headers`` ask for), ``too-large``,
    ``cancelled``.
    """
    scheme = urllib.parse.urlsplit(url).scheme
    if scheme in ("http", "https"):
        _http(url, part, headers or {}, insecure, _Answer(part, cancel, say, limit, heard))
    elif scheme == "file":
        _copy(url, part, limit)
    else:
        raise error("download-failed", f"the farm does not know URLs of the kind {scheme}:")


def download_by_apt(url: str, sha256: str, part: Path, cancel: threading.Event) -> None:
    """Has apt's own downloader make ``part``. FarmError as `download`."""
    part.unlink(missing_ok=True)
    command = [str(HELPER), "-o", "APT::Sandbox::User=root", "download-file", url, str(part), f"SHA256:{sha256}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        output = _output(process, cancel)
    if process.returncode:
        reasons = [line for line in output.splitlines() if line.startswith(("E:", "Err:"))]
        raise error("download-failed", "; ".join(reasons) or output.strip(), transient="404" not in output)


def check_cancel(cancel: threading.Event) -> None:
    """FarmError ``cancelled`` when it is set."""
    if cancel.is_set():
        raise error("cancelled", "the download was cancelled")


def _output(process: subprocess.Popen[str], cancel: threading.Event) -> str:
    while True:
        try:
            return process.communicate(timeout=0.1)[0]
        except subprocess.TimeoutExpired:
            if cancel.is_set():
                process.terminate()
                process.communicate()
                check_cancel(cancel)


def _copy(url: str, part: Path, limit: int | None) -> None:
    path = Path(urllib.request.url2pathname(urllib.parse.urlsplit(url).path))
    try:
        with open(path, "rb") as source, open(part, "wb") as out:
            _check_size(os.fstat(source.fileno()).st_size, limit)
            while data := source.read(_CHUNK):
                out.write(data)
    except OSError as fault:
        if fault.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise error("download-failed", fault.strerror or str(fault)) from fault


def _http(url: str, part: Path, extra: Mapping[str, str], insecure: bool, answer: _Answer) -> None:
    import requests
    import urllib3

    start = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity", "User-Agent": "farm", **extra}
    headers |= {"Range": f"bytes={start}-"} if start else {}
    try:
        with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT, verify=not insecure) as response:
            answer.take(response, start)
    except (requests.ConnectionError, requests.Timeout, urllib3.exceptions.HTTPError) as fault:
        raise error("download-failed", _reason(fault), transient=not _is_name_error(fault)) from fault
    except requests.RequestException as fault:
        raise error("download-failed", str(fault)) from fault


@dataclasses.dataclass(frozen=True, slots=True)
class _Answer:
    """What is done with a server's answer."""

    part: Path
    cancel: threading.Event
    say: Say
    limit: int | None
    heard: Heard | None

    def take(self, response: requests.Response, start: int) -> None:
        if response.status_code == 304:
            raise error("not-modified", "the file has not changed")
        if response.status_code == 416:
            self.part.unlink(missing_ok=True)
            raise error("download-failed", "what was there of the file is longer than the file", transient=True)
        if response.status_code not in (200, 206):
            passing = response.status_code in _PASSING
            raise error("download-failed", f"HTTP {response.status_code} {response.reason}", transient=passing)
        if response.status_code == 200 or not _continues(response, start):
            start = 0
        length = response.headers.get("Content-Length", "")
        total = start + int(length) if length.isdigit() else None
        _check_size(total or 0, self.limit)
        if self.heard:
            self.heard(response.headers)
        with open(self.part, "r+b" if start else "wb") as out:
            out.seek(start)
            out.truncate()
            done = self._pour(response.raw, out, start, total)
        if total is not None and done < total:
            raise error("download-failed", f"the connection ended after {done} of {total} bytes", transient=True)

    def _pour(self, raw: Any, out: Any, done: int, total: int | None) -> int:
        """Copies the body; returns the number of bytes that the file then has."""
        last = time.monotonic()
        while data := raw.read(_CHUNK, decode_content=False):
            check_cancel(self.cancel)
            _check_size(done + len(data), self.limit)
            out.write(data)
            done += len(data)
            if time.monotonic() - last > _PROGRESS:
                last = time.monotonic()
                self.say(f"  {done / 1e6:.1f}" + (f" of {total / 1e6:.1f} MB" if total else " MB"))
        return done


def _check_size(size: int, limit: int | None) -> None:
    if limit is not None and size > limit:
        raise error("too-large", f"it has more than {limit} bytes")


def _continues(response: requests.Response, start: int) -> bool:
    """Whether a 206 begins where we stopped (RFC 9110, 14.4)."""
    if response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
        return True
    raise error("download-failed", "the server sent another part of the file than it was asked for")


def _is_name_error(fault: Exception) -> bool:
    return "NameResolutionError" in repr(fault) or "Failed to resolve" in str(fault)


def _reason(fault: Exception) -> str:
    """The innermost reason, without the objects' addresses that urllib3 puts around it."""
    inner: Any = fault
    while getattr(inner, "args", None) and isinstance(inner.args[0], Exception):
        inner = inner.args[0]
    inner = getattr(inner, "reason", None) or inner
    return str(inner).rpartition(">: ")[2] or type(fault).__name__
