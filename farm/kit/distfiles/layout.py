# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a distfile lies in a mirror: the layouts of GLEP 75 (``flat``, ``filename-hash``, ``content-hash``)."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence

from farm.kit.manifest import new_hash
from farm.spec.problem import error

FILE = "layout.conf"
_CUTOFFS = re.compile(r"\d{1,3}(:\d{1,3})*")


@dataclasses.dataclass(frozen=True, slots=True)
class Layout:
    """One structure. ``cutoffs`` are in bits, as GLEP 75 has them: 8:8:8 is three folders of two hex digits."""

    kind: str = "flat"
    hash: str = ""
    cutoffs: str = ""

    def path(self, name: str, hashes: Mapping[str, str]) -> str | None:
        """The file's path in the mirror; None when it follows from a hash that is not known."""
        if self.kind == "flat":
            return name
        if self.kind == "filename-hash":
            hasher = new_hash(self.hash)
            hasher.update(name.encode())
            digest = hasher.hexdigest()
        else:
            digest = hashes.get(self.hash, "")
        if not digest:
            return None
        folders, at = [], 0
        for bits in map(int, self.cutoffs.split(":")):
            folders.append(digest[at : at + bits // 4])
            at += bits // 4
        return "/".join([*folders, name if self.kind == "filename-hash" else digest])

    def line(self) -> str:
        """As layout.conf has it."""
        return " ".join(word for word in (self.kind, self.hash, self.cutoffs) if word)


FLAT = Layout()
CONTENT_HASH = Layout("content-hash", "SHA512", "8:8:8")


def parse_layout(text: str) -> Layout:
    """``flat``, ``content-hash SHA512 8:8:8`` or ``filename-hash BLAKE2B 8``. FarmError ``bad-layout``."""
    words = text.split()
    if words == ["flat"]:
        return FLAT
    if words == ["content-hash"]:
        return CONTENT_HASH
    good = len(words) == 3 and words[0] in ("content-hash", "filename-hash") and _CUTOFFS.fullmatch(words[2])
    if not good or any(int(bits) % 4 or not int(bits) for bits in words[2].split(":")):
        hint = "write flat, content-hash SHA512 8:8:8, or filename-hash BLAKE2B 8"
        raise error("bad-layout", f"{text!r} is no layout of a mirror", hint=hint)
    new_hash(words[1].upper())
    return Layout(words[0], words[1].upper(), words[2])


def layout_conf(layouts: Sequence[Layout]) -> bytes:
    """The file layout.conf."""
    lines = [f"{number}={layout.line()}" for number, layout in enumerate(layouts)]
    return "\n".join(["[structure]", *lines, ""]).encode()


def parse_layout_conf(text: str) -> list[Layout]:
    """The structures of a layout.conf that are known here, in their order; flat when there is none."""
    import configparser

    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(text)
        entries = sorted((int(key), value) for key, value in parser.items("structure") if key.isdigit())
    except (configparser.Error, ValueError):
        return [FLAT]
    found = []
    for _, value in entries:
        try:
            found.append(parse_layout(value))
        except Exception:  # noqa: BLE001  a layout of a later standard
            continue
    return found or [FLAT]
