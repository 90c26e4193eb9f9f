# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls git's command line: clean environment, no secret in arguments or messages, time limits, retries.

What the user's or the system's git configuration says does not count, so that the same spec does the same everywhere.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import os
import re
import signal
import subprocess
import urllib.parse
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from farm.spec.problem import FarmError, error

Result = TypeVar("Result")

LIMIT = 1800.0
"""Seconds that one call of git may take."""

_PASSED = ("PATH", "LANG", "TMPDIR", "SSH_AUTH_SOCK", "SSL_CERT_FILE", "SSL_CERT_DIR", "http_proxy", "https_proxy",
           "HTTP_PROXY", "HTTPS_PROXY", "no_proxy", "NO_PROXY", "all_proxy", "GIT_SSL_CAINFO")  # fmt: skip
"""What git is told of the farm's environment."""

_SETTINGS = {
    "advice.detachedHead": "false",
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.autocrlf": "false",
    "core.quotePath": "false",
    "credential.helper": "",
    "fastimport.unpackLimit": "0",
    "fetch.unpackLimit": "1",
    "gc.auto": "0",
    "http.lowSpeedLimit": "1",
    "http.lowSpeedTime": "60",
    "init.defaultBranch": "main",
    "maintenance.auto": "false",
    "protocol.ext.allow": "never",
    "protocol.file.allow": "always",
    "safe.directory": "*",
}
_FOR_GOOD = re.compile(
    r"authentication failed|could not read username|permission denied|not found|does not appear to be a git|"
    r"couldn't find remote ref|not our ref|unadvertised object|repository .* does not exist|returned error: 4(?!29|08)|"
    r"protected branch|pre-receive hook declined|fsck error|unable to access .*malformed|not allowed|"
    r"no matching|bad object|non-fast-forward|fetch first|stale info",
    re.IGNORECASE,
)
_TRANSIENT = re.compile(
    r"timed out|early eof|unexpected disconnect|connection (?:reset|refused|closed|was)|could not resolve|"
    r"hung up|rpc failed|returned error: (?:5\d\d|429|408)|curl \d+|failed to connect|recv failure|send failure|"
    r"operation too slow|invalid index-pack|index-pack failed|fetch-pack|unexpected end|bad gateway|"
    r"service unavailable|empty reply|incomplete|truncated",
    re.IGNORECASE,
)


@dataclasses.dataclass(frozen=True)
class Credentials:
    """What a server wants: a user's name and a token. The token is never shown."""

    user: str = ""
    token: str = dataclasses.field(default="", repr=False)

    def header(self) -> str:
        """The value of the header ``Authorization``."""
        return "Basic " + base64.b64encode(f"{self.user}:{self.token}".encode()).decode()


@dataclasses.dataclass(frozen=True)
class Git:
    """git for one repository folder (``--git-dir``), or for none. ``credentials`` are for the server of a URL."""

    folder: Path | None = None
    credentials: Mapping[str, Credentials] = dataclasses.field(default_factory=dict)
    """Origin (``https://host``) → credentials."""

    def run(
        self,
        *words: str,
        stdin: bytes | None = None,
        env: Mapping[str, str] | None = None,
        limit: float = LIMIT,
        accept: Sequence[int] = (0,),
    ) -> bytes:
        """Standard output. FarmError ``git-failed``, or ``git-transient`` (transient) where a retry can help."""
        return self.finish(words, stdin=stdin, env=env, limit=limit, accept=accept)[0]

    def text(self, *words: str, env: Mapping[str, str] | None = None) -> str:
        """Standard output as text without the newline at its end."""
        return self.run(*words, env=env).decode("utf-8", "surrogateescape").rstrip("\n")

    def finish(
        self,
        words: Sequence[str],
        *,
        stdin: bytes | None = None,
        env: Mapping[str, str] | None = None,
        limit: float = LIMIT,
        accept: Sequence[int] = (0,),
    ) -> tuple[bytes, int]:
        """As `run`, with the exit status, one of ``accept``."""
        with self.started(words, env=env) as process:
            try:
                out, err = process.communicate(stdin or b"", timeout=limit)
            except subprocess.TimeoutExpired:
                message = f"git {words[0]} took longer than {limit:.0f} s"
                raise error("git-transient", message, transient=True) from None
            if process.returncode not in accept:
                raise self._failure(words, err.decode("utf-8", "replace"), process.returncode)
            return out, process.returncode

    @contextlib.contextmanager
    def started(
        self, words: Sequence[str], *, env: Mapping[str, str] | None = None
    ) -> Iterator[subprocess.Popen[bytes]]:
        """git as a process with pipes; it is stopped with all its children when the block ends."""
        command = ["git", *(["--git-dir", str(self.folder)] if self.folder else []), *words]
        pipe = subprocess.PIPE
        try:
            process = subprocess.Popen(
                command, stdin=pipe, stdout=pipe, stderr=pipe, env=self._environment(env), start_new_session=True
            )
        except FileNotFoundError:
            raise error("no-git", "there is no git", hint="Install the package git.") from None
        try:
            yield process
        finally:
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream:
                    with contextlib.suppress(BrokenPipeError):
                        stream.close()

    def _environment(self, more: Mapping[str, str] | None) -> dict[str, str]:
        env = {name: os.environ[name] for name in _PASSED if name in os.environ}
        settings = list(_SETTINGS.items())
        for origin, credentials in self.credentials.items():
            if credentials.token:
                settings.append((f"http.{origin}/.extraHeader", f"Authorization: {credentials.header()}"))
                settings.append((f"http.{origin}/.followRedirects", "false"))
        for number, (key, value) in enumerate(settings):
            env[f"GIT_CONFIG_KEY_{number}"] = key
            env[f"GIT_CONFIG_VALUE_{number}"] = value
        env |= {
            "GIT_CONFIG_COUNT": str(len(settings)),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": "true",
            "GIT_SSH_COMMAND": "ssh -oBatchMode=yes",
            "LC_ALL": "C.UTF-8",
        }
        return {**env, **(more or {})}

    def _failure(self, words: Sequence[str], err: str, code: int) -> FarmError:
        lines = [line for line in err.splitlines() if line.strip() and not line.startswith("hint:")]
        said = self._hidden("; ".join(lines[-4:])) or f"exit status {code}"
        if code < 0:
            said = f"{said} (killed by signal {-code})"
        transient = not _FOR_GOOD.search(err) and bool(_TRANSIENT.search(err))
        return error("git-transient" if transient else "git-failed", f"git {words[0]}: {said}", transient=transient)

    def _hidden(self, text: str) -> str:
        text = re.sub(r"(\w+://)[^/@\s]+@", r"\1", text)
        for credentials in self.credentials.values():
            if credentials.token:
                text = text.replace(credentials.token, "***").replace(credentials.header(), "***")
        return text


def origin_of(url: str) -> str:
    """``scheme://host[:port]`` of a URL; empty for what has no host."""
    parts = urllib.parse.urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}" if parts.scheme in ("http", "https") and host else ""


def check_url(url: str) -> None:
    """FarmError ``bad-git-url`` for what git could take for an option, a program, or a place without a protocol."""
    good = re.fullmatch(r"(?:https?|ssh|git|file)://\S+|[\w.-]+@[\w.-]+:\S+|\.{0,2}/.*", url)
    if not good or "\n" in url or "::" in url.split("/", 1)[0]:
        raise error("bad-git-url", f"{url[:200]!r} is not a URL of a git repository",
                    hint="write https://…, ssh://…, file:///… or an absolute path")  # fmt: skip
    if re.match(r"https?://[^/]*:[^/]*@", url):
        raise error("secret-in-url", "a git URL must not have a password in it",
                    hint="put the token into the environment or the configuration")  # fmt: skip


def again(work: Callable[[], Result], *, attempts: int = 4, pause: float = 1.0) -> Result:
    """Calls ``work`` until it does not fail with a transient FarmError, with growing pauses (seconds)."""
    import tenacity

    retry = tenacity.Retrying(
        retry=tenacity.retry_if_exception(lambda e: isinstance(e, FarmError) and e.transient),
        stop=tenacity.stop_after_attempt(attempts),
        wait=tenacity.wait_exponential_jitter(pause, 30, jitter=pause / 2),
        reraise=True,
    )
    return retry(work)
