# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells a chat room what a run did: webhooks of Discord's form, which many others take, too.

Hooks are those of mark-devkit's configuration (``hooks:``, or ``notifier.hooks``: ``name``, ``type``, ``enable`` and
``url``, ``url_env`` or ``url_file``), and the one of the command line or the environment. A webhook's address is a
secret: no message has it. What cannot be told is a warning; it fails nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from farm.kit.secretfile import read_secret
from farm.spec.problem import FarmError, Problem

LONGEST = 1900
"""Characters of one message; Discord takes 2000."""

MOST = 5
"""Messages of one run."""

_SIGN = "\N{ROBOT FACE}"


@dataclasses.dataclass(frozen=True, slots=True)
class Hook:
    """One webhook."""

    name: str
    url: str = dataclasses.field(repr=False)


def hooks_of(
    config: Mapping[str, Any], environ: Mapping[str, str], url: str = "", *, folder: Path = Path()
) -> tuple[list[Hook], list[Problem]]:
    """The hooks that are configured, that of ``url``, and else that of ``MARKDEVKIT_DISCORD_URL`` (or ``…_FILE``).

    ``folder`` is the configuration's: names of files in it are relative to that.
    """
    given = url or environ.get("MARKDEVKIT_DISCORD_URL", "")
    file = environ.get("MARKDEVKIT_DISCORD_URL_FILE", "")
    found = [Hook("discord", given)] if given else []
    problems: list[Problem] = []
    if file and not given:
        found += _from({"name": "discord", "url_file": file}, environ, problems, Path())
    notifier = config.get("notifier")
    entries = config.get("hooks") or (notifier.get("hooks") if isinstance(notifier, dict) else None) or []
    for entry in entries if isinstance(entries, list) else [entries]:
        found += _from(entry, environ, problems, folder)
    return list({hook.url: hook for hook in found}.values()), problems


def _from(entry: Any, environ: Mapping[str, str], problems: list[Problem], folder: Path) -> Iterator[Hook]:
    if not isinstance(entry, dict):
        problems.append(_warning("a hook must be a mapping with type and url"))
        return
    name = str(entry.get("name") or entry.get("type") or "discord")
    if entry.get("enable") is False:
        return
    if (kind := entry.get("type", "discord")) != "discord":
        problems.append(_warning(f"hook {name!r} has the type {kind!r}; only discord is known"))
        return
    try:
        url = str(
            entry.get("url") or environ.get(str(entry.get("url_env")), "") or _read(entry.get("url_file"), folder)
        )
    except FarmError as failure:
        problems += [dataclasses.replace(problem, severity="warning") for problem in failure.problems]
        return
    if url:
        yield Hook(name, url)
    else:
        problems.append(_warning(f"hook {name!r} has no address", "give it url, url_env or url_file"))


def _read(file: Any, folder: Path) -> str:
    return read_secret(folder / Path(str(file)).expanduser()) if file else ""


def tell(hooks: Sequence[Hook], lines: Iterable[str], *, pause: float = 1.0) -> list[Problem]:
    """Sends the lines to every hook, several in a message. Gives a warning for each hook that did not take them."""
    messages = messages_of(lines)
    return [problem for hook in hooks if messages for problem in _tell(hook, messages, pause)]


def _tell(hook: Hook, messages: Sequence[str], pause: float) -> Iterator[Problem]:
    from farm.kit.forge.rest import Rest

    try:
        rest = Rest(hook.url, {}, pause=pause)
        for message in messages:
            rest.send("POST", "", {"content": message, "allowed_mentions": {"parse": []}})
    except FarmError as failure:
        said = failure.problems[0].message.replace(hook.url, f"{urlsplit(hook.url).hostname}/…")
        yield _warning(f"hook {hook.name!r} was not told: {said}")


def messages_of(lines: Iterable[str]) -> list[str]:
    """The lines in messages that are not too long; what is too much is counted."""
    messages: list[str] = []
    left = 0
    for line in lines:
        line = f"{_SIGN} {' '.join(line.split())}"[:LONGEST]
        if messages and len(messages[-1]) + 1 + len(line) <= LONGEST:
            messages[-1] += "\n" + line
        elif len(messages) < MOST:
            messages.append(line)
        else:
            left += 1
    if left:
        messages[-1] += f"\n{_SIGN} … and {left} more"
    return messages


def _warning(message: str, hint: str = "nothing else is affected") -> Problem:
    return Problem("not-notified", message, hint=hint, severity="warning")
