# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts of a board file that become lines, words and paths in files of the image: nothing else may get in with them.

Lengths: 255 bytes for a name and 4095 for a path (Linux, include/uapi/linux/limits.h).
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator
from typing import Any

from farm.image.layout import Data, Path
from farm.spec.finding import Finding

BOARD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_+-]{0,63}")
"""What a board can be called: its name is that of files, of nodes, and a word of commands."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_LOGIN = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.-]{0,31}")
_SHELL = re.compile(r"/[^\s:\x00-\x1f\x7f]+")
_MOUNT = re.compile(r"/[^\s\\\x00-\x1f\x7f]*")

Rule = Callable[[str], str]
"""What is wrong with a text; empty: nothing."""


def check_texts(data: Data) -> Iterator[Finding]:
    """Findings in the texts of a board file that satisfies its schema."""
    for pattern, code, rule in _RULES:
        for at, value in _found(data, pattern, ()):
            if isinstance(value, str) and (wrong := rule(value)):
                yield Finding(code, f"{_short(value)} {wrong}", "", at)


def _line(value: str) -> str:
    return "has a line break or another control character in it" if _CONTROL.search(value) else ""


def _inner_path(value: str) -> str:
    """A path in a package or a partition; a leading slash is taken away elsewhere."""
    if _CONTROL.search(value):
        return _line(value)
    if ".." in value.split("/"):
        return "must not have '..' in it"
    return "" if value.strip("/") else "names nothing"


def _word_path(value: str) -> str:
    """A path that stands between spaces in a file of the boot loader's."""
    return _inner_path(value) or ("must not have spaces in it" if re.search(r"\s", value) else "")


def _root_path(value: str) -> str:
    if _CONTROL.search(value):
        return _line(value)
    if ".." in value.split("/") or value.endswith("/") or posixpath.normpath(value) == "/":
        return "is no path of a file"
    long = len(value.encode()) > 4095 or any(len(part.encode()) > 255 for part in value.split("/"))
    return "is too long for a file system" if long else ""


def _mount(value: str) -> str:
    if ".." in value.split("/"):
        return "must not have '..' in it"
    if not _MOUNT.fullmatch(value):
        return "has a character in it that /etc/fstab cannot hold"
    plain = "/" + "/".join(part for part in value.split("/") if part not in ("", "."))
    return "" if plain == value else f"is written {plain}"


def _label(value: str) -> str:
    return _line(value) or ("must not have a slash in it" if "/" in value else "")


def _matches(pattern: re.Pattern[str], wrong: str) -> Rule:
    return lambda value: "" if pattern.fullmatch(value) else wrong


_RULES: tuple[tuple[tuple[str, ...], str, Rule], ...] = (
    (("partitions", "*", "mount"), "bad-mount", _mount),
    (("partitions", "*", "label"), "bad-label", _label),
    (("kernel", "command-line"), "bad-line", _line),
    (("kernel", "image"), "bad-path", _inner_path),
    (("kernel", "device-trees"), "bad-path", _inner_path),
    (("device-tree",), "bad-path", _word_path),
    (("boot-loader", "*", "file"), "bad-path", _inner_path),
    (("boot-loader", "*", "name"), "bad-line", _line),
    (("firmware", "*", "to"), "bad-path", _inner_path),
    (("firmware", "*", "files", "*"), "bad-path", _inner_path),
    (("boot", "config-txt", "*"), "bad-line", _line),
    (("boot", "boot-scr", "*"), "bad-line", lambda value: _line(value.replace("\t", " "))),
    (("root", "files", "*", "path"), "bad-path", _root_path),
    (("users", "*", "password"), "bad-user", _line),
    (("users", "*", "password-hash"), "bad-user", _matches(re.compile(r"[!-9;-~]+"), "is no hash of a password")),
    (("users", "*", "shell"), "bad-user", _matches(_SHELL, "is no path of a shell")),
    (("users", "*", "groups", "*"), "bad-user", _matches(_LOGIN, "is no name of a group")),
    (("users", "*", "ssh-keys", "*"), "bad-user", _line),
    (("test", "cpu"), "bad-line", _line),
)
"""Keys, what their problems are called, and their rule."""


def _found(value: Any, pattern: tuple[str, ...], at: Path) -> Iterator[tuple[Path, Any]]:
    """The values that a pattern of keys means, with their paths."""
    if not pattern:
        yield at, value
    elif pattern[0] == "*":
        for index, item in enumerate(value if isinstance(value, list) else ()):
            yield from _found(item, pattern[1:], (*at, index))
    elif isinstance(value, dict) and pattern[0] in value:
        yield from _found(value[pattern[0]], pattern[1:], (*at, pattern[0]))


def _short(value: str) -> str:
    return repr(value if len(value) < 60 else f"{value[:50]}…")
