# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads metadata in YAML fast: nearly all of it are lists of paths, one a line, that need no YAML parser.

What has not exactly the expected form goes through the whole parser (farm/spec/yamltext.py), as does the rest.
"""

from __future__ import annotations

import json
import re
from typing import Any

from farm.spec.problem import FarmError, Place, error
from farm.spec.yamltext import TEXT, Shape, parse

_START = re.compile(r"^[^\s#-]", re.MULTILINE)
_KEY = re.compile(r"^([A-Za-z_]+):(?=[ \n])", re.MULTILINE)
_TEXT = r"""([A-Za-z0-9_./](?:[A-Za-z0-9_./@+=,%()\[\] -]*[A-Za-z0-9_./@+=,%()\[\]-])?)|"([^"\\\n]*)"|'([^'\n]*)'"""
_ITEM = re.compile(rf"^ *- (?:{_TEXT})$", re.MULTILINE)
_DIGESTS = re.compile(r"^  digests:\n((?:    [^\n]*\n)*)", re.MULTILINE)
_DIGEST = re.compile(rf"""^    (?:{_TEXT}): "?([0-9a-f]{{64}})"?$""", re.MULTILINE)

_TEXTS: Any = {"*": TEXT}
_REQUIREMENTS: Any = [{"name": TEXT, "category": TEXT, "version": TEXT}]
PACKAGE: dict[str, Any] = {
    **dict.fromkeys(("name", "category", "version", "description", "license", "buildtimestamp", "treedir"), TEXT),
    **dict.fromkeys(("requires", "conflicts", "provides"), _REQUIREMENTS),
    **{key: [TEXT] for key in ("use_flags", "uri")},
    "labels": _TEXTS,
    "annotations": {"config_protect": TEXT, "subsets": {"rules": {"*": [TEXT]}}},
}
"""Where a package's definition in a wagon is text."""

METADATA: Shape = {
    **dict.fromkeys(("path", "compressiontype", "package_cacheimage"), TEXT),
    "checksums": _TEXTS,
    "files": [TEXT],
    "runtime": PACKAGE,
    "compilespec": {"package": PACKAGE, **{key: [TEXT] for key in ("steps", "prelude", "env")}, "seed": TEXT},
    "farm": {"digests": _TEXTS, "modes": _TEXTS, "beside": _TEXTS, "key": TEXT},
}


def read_quickly(content: bytes, name: str, *, brief: bool = False) -> Any:
    """The data of a metadata document. FarmError as YAML's problems, or ``bad-metadata``.

    ``brief``: without ``compilespec`` and ``farm.digests``.
    """
    try:
        text = content.decode()
        if text.startswith("{"):
            return json.loads(text)
    except (ValueError, RecursionError) as problem:
        raise error("bad-metadata", f"neither YAML nor JSON: {problem}", place=Place(name)) from problem
    blocks = _blocks(text)
    if blocks is None:
        return read_whole(text, name)
    data: dict[str, Any] = {}
    if brief:
        blocks.pop("compilespec", None)
    for key, quick in (("files", _files), ("farm", _digests)):
        if key in blocks:
            blocks[key] = quick(blocks[key], data)
    rest = read_whole("".join(blocks.values()), name) or {}
    digests = data.pop("digests", None)
    if digests and not brief:
        rest.setdefault("farm", {})["digests"] = digests
    return {**rest, **data}


def read_whole(text: str, name: str) -> Any:
    """The data, by the whole parser. FarmError with what is wrong."""
    parsed = parse(text, name, METADATA)
    if parsed.problems:
        raise FarmError(parsed.problems)
    return parsed.data


def _blocks(text: str) -> dict[str, str] | None:
    """The text of each top key, if the document has the usual form."""
    keys = list(_KEY.finditer(text))
    if not keys or [match.start() for match in keys] != [match.start() for match in _START.finditer(text)]:
        return None
    if text.startswith("---") or "\n---" in text or "\n..." in text or len({m.group(1) for m in keys}) != len(keys):
        return None
    ends = [match.start() for match in keys[1:]] + [len(text)]
    return {match.group(1): text[match.start() : end] for match, end in zip(keys, ends, strict=True)}


def _files(block: str, data: dict[str, Any]) -> str:
    """Puts the files into ``data`` and gives what is left to parse."""
    head, _, body = block.partition("\n")
    found = _ITEM.findall(body)
    if head.rstrip() != "files:" or not found or len(found) != body.rstrip("\n").count("\n") + 1:
        return block
    data["files"] = [plain or double or single for plain, double, single in found]
    return ""


def _digests(block: str, data: dict[str, Any]) -> str:
    match = _DIGESTS.search(block)
    if match is None:
        return block
    found = _DIGEST.findall(match.group(1))
    if len(found) != match.group(1).count("\n"):
        return block
    data["digests"] = {plain or double or single: digest for plain, double, single, digest in found}
    rest = block[: match.start()] + block[match.end() :]
    return "" if rest.strip() == "farm:" else rest
