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

_START = re.compile(r"\n[^\s#-]")
_KEY = re.compile(r"\n([A-Za-z_]+):(?=[ \n])")
_IDENTITY = re.compile(r"\n  (?:name|version|category): [^\n]*")
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
    "farm": {"digests": _TEXTS, "modes": _TEXTS, "beside": _TEXTS, "key": TEXT, "platform": TEXT},
}


def read_quickly(content: bytes, name: str, *, brief: bool = False) -> Any:
    """The data of a metadata document. FarmError as YAML's problems, or ``bad-metadata``.

    ``brief``: without ``compilespec`` and ``farm.digests``, and of ``runtime`` no more than who it is.
    """
    try:
        text = content.decode()
        if text.startswith("{"):
            return json.loads(text)
    except (ValueError, RecursionError) as problem:
        raise error("bad-metadata", f"neither YAML nor JSON: {problem}", place=Place(name)) from problem
    blocks = _blocks("\n" + text)
    if blocks is None:
        return read_whole(text, name)
    if brief:
        blocks.pop("compilespec", None)
        blocks["runtime"] = _identity(blocks.get("runtime", ""))
    files = _files(blocks)
    digests = _digests(blocks, brief)
    data = read_whole("".join(blocks.values()), name) or {}
    if digests:
        data.setdefault("farm", {})["digests"] = digests
    return data if files is None else {**data, "files": files}


def read_whole(text: str, name: str) -> Any:
    """The data, by the whole parser. FarmError with what is wrong."""
    parsed = parse(text, name, METADATA)
    if parsed.problems:
        raise FarmError(parsed.problems)
    return parsed.data


def _blocks(text: str) -> dict[str, str] | None:
    """The text of each top key, each after a line break, if the document has the usual form."""
    keys = [(match.start(), _KEY.match(text, match.start())) for match in _START.finditer(text)]
    if not keys or "\n---" in text or "\n..." in text:
        return None
    ends = [start for start, _ in keys[1:]] + [len(text)]
    blocks = {key.group(1): text[start:end] for (start, key), end in zip(keys, ends, strict=True) if key}
    return blocks if len(blocks) == len(keys) else None


def _identity(block: str) -> str:
    """The block without all but name, version and category, if they are written as usual."""
    lines = _IDENTITY.findall(block)
    return "".join(("\nruntime:", *lines)) if len(lines) == 3 else block


def _files(blocks: dict[str, str]) -> list[str] | None:
    """Takes the files out of the blocks. None when they have to be parsed."""
    head, _, body = blocks.get("files", "").lstrip("\n").partition("\n")
    found = _ITEM.findall(body)
    if head.rstrip() != "files:" or not found or len(found) != body.rstrip("\n").count("\n") + 1:
        return None
    del blocks["files"]
    return [plain or double or single for plain, double, single in found]


def _digests(blocks: dict[str, str], brief: bool) -> dict[str, str]:
    """Takes the digests out of the blocks; empty when they have to be parsed, or are not wanted."""
    block = blocks.get("farm", "") + "\n"
    match = _DIGESTS.search(block)
    if match is None:
        return {}
    found = [] if brief else _DIGEST.findall(match.group(1))
    if not brief and len(found) != match.group(1).count("\n"):
        return {}
    rest = block[: match.start()] + block[match.end() :]
    blocks["farm"] = "" if rest.strip() == "farm:" else rest
    return {plain or double or single: digest for plain, double, single, digest in found}
