# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings: one set of values, from one precedence, each knowing where it comes from (docs/values.md).

From high to low: the command line; the environment (``FARM_STORE``, ``FARM_JOBS``, …); ``farm.yaml`` in the folder
of each tree, the first tree's first; the user's ``~/.config/farm/farm.yaml``; ``/etc/farm/farm.yaml``; the default.
A list replaces the list of a lower level. The mappings ``seeds``, ``images`` and ``accelerators`` are merged
by name. Paths in a file are relative to that file, all others to the working directory.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from farm.spec.platform import host_platform
from farm.spec.problem import FarmError, Place, Problem
from farm.spec.scan import read_regular
from farm.spec.schema import explain, keys_of, valid
from farm.spec.yamltext import TEXT, Parsed, decode, parse

FILE = "farm.yaml"

_SHAPE: dict[str, Any] = {
    **dict.fromkeys(("runner", "store", "destination", "platform", "compression"), TEXT),
    "trees": [TEXT],
    "values": [TEXT],
    "images": {"*": TEXT},
    "accelerators": {"*": TEXT},
    "seeds": {
        "*": {
            "url": TEXT,
            "sha256": TEXT,
            "docker": TEXT,
            "debootstrap": {
                **dict.fromkeys(("suite", "variant", "date"), TEXT),
                "packages": [TEXT],
                "components": [TEXT],
            },
        }
    },
}
_PATHS = frozenset(("trees", "values", "store", "destination"))
_LISTS = frozenset(("trees", "values"))
_FLAGS = frozenset(("keep-going", "network"))
_MAPPINGS = frozenset(("seeds", "images", "accelerators"))


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """All settings. Paths are absolute. ``jobs`` None: as many as there are cores; ``destination`` None: nowhere.

    ``origins`` tells of each key (and of each ``seeds.NAME`` and ``images.NAME``) where its value comes from.
    A seed is as written: ``{debootstrap: {…}}``, ``{url, sha256}`` or ``{docker}``.
    """

    trees: tuple[Path, ...] = ()
    values: tuple[Path, ...] = ()
    runner: str = "sandbox"
    jobs: int | None = None
    store: Path = dataclasses.field(default=Path())
    destination: Path | None = None
    platform: str = ""
    keep_going: bool = False
    network: bool = False
    compression: str = "zstd"
    seeds: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    images: Mapping[str, str] = dataclasses.field(default_factory=dict)
    accelerators: Mapping[str, str] = dataclasses.field(default_factory=dict)
    origins: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def origin(self, key: str) -> str:
        """Where the value of ``key`` (as in farm.yaml) comes from: ``default``, ``environment …``, a place, …"""
        return self.origins.get(key, "default")

    def to_json(self) -> dict[str, Any]:
        """Each key of farm.yaml with its value and origin, as `farm config` shows them."""
        return {
            key: {"value": _plain(getattr(self, key.replace("-", "_"))), "origin": self.origin(key)}
            for key in sorted(keys_of("farm"))
        }


@dataclasses.dataclass(frozen=True, slots=True)
class Level:
    """What one place says: values by key, and by key (or ``seeds.NAME``) the text that names the place."""

    data: Mapping[str, Any]
    origin: Callable[[str], str]


def read_settings(
    command_line: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    *,
    folder: Path | None = None,
    user_files: Sequence[Path] | None = None,
) -> Settings:
    """The settings that hold in ``folder`` (default: the working directory).

    ``command_line`` has the keys of farm.yaml; None means not given. Trees are looked for a farm.yaml where the
    command line, the environment or the user's files name them, else ``folder`` itself is. Raises FarmError with
    all that is wrong in the files and in the environment.
    """
    environ = os.environ if environ is None else environ
    folder = (folder or Path.cwd()).absolute()
    problems: list[Problem] = []
    given = _given(command_line or {}, folder)
    surroundings = _environment(environ, folder, problems)
    paths = user_config_files(environ) if user_files is None else user_files
    users = [level for path in paths if (level := _read(path, problems))]
    named = next((found for level in (given, surroundings, *users) if (found := level.data.get("trees"))), [folder])
    trees = dict.fromkeys(Path(tree) / FILE for tree in named)
    inside = [level for path in trees if (level := _read(path, problems))]
    _check(given, problems)
    if problems:
        raise FarmError(problems)
    return _merge([given, surroundings, *inside, *users, _defaults(environ, folder)])


def user_config_files(environ: Mapping[str, str]) -> list[Path]:
    """The user's and the host's farm.yaml, the user's first. They need not exist."""
    home = Path(environ.get("HOME") or "~").expanduser()
    return [Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "farm" / FILE, Path("/etc/farm") / FILE]


def parse_settings(text: str, file: Path) -> tuple[dict[str, Any], list[Problem], Parsed]:
    """The data of a farm.yaml, checked; what is wrong with it; and the document."""
    parsed = parse(text, str(file), _SHAPE)
    problems = list(parsed.problems)
    if not valid("farm", parsed.data):
        findings = explain("farm", parsed.data)
        problems += [Problem(f.code, f.message, parsed.place(f.path, key=f.at_key), f.hint) for f in findings]
    data = parsed.data if isinstance(parsed.data, dict) and not problems else {}
    return {key: value for key, value in data.items() if value is not None}, problems, parsed


def _read(path: Path, problems: list[Problem]) -> Level | None:
    path = path.absolute()
    try:
        text, found = decode(read_regular(str(path)), str(path))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as e:
        text, found = "", [Problem("unreadable-file", f"cannot be read: {e.strerror or e}", Place(str(path)))]
    data, wrong, parsed = parse_settings(text, path)
    problems += found + wrong
    return Level(_absolute(data, path.parent), lambda key: str(parsed.place(key.split(".", 1), key=True)))


def _given(options: Mapping[str, Any], folder: Path) -> Level:
    data = {key: _unpath(value) for key, value in options.items() if value is not None and value != ()}
    return Level(_absolute(data, folder), lambda _key: "command line")


def _check(given: Level, problems: list[Problem]) -> None:
    data = {key: _plain(tuple(value) if key in _LISTS else value) for key, value in given.data.items()}
    for finding in [] if valid("farm", data) else explain("farm", data):
        problems.append(Problem(finding.code, finding.message, Place("command line"), finding.hint))


def _environment(environ: Mapping[str, str], folder: Path, problems: list[Problem]) -> Level:
    """``FARM_KEY`` for every key but mappings; lists are separated by ``:``."""
    data: dict[str, Any] = {}
    for key in keys_of("farm") - _MAPPINGS:
        text = environ.get(_variable(key))
        if text:
            data[key] = _typed(key, text)
    for finding in [] if valid("farm", data) else explain("farm", data):
        key = str(finding.path[0])
        problems.append(Problem(finding.code, finding.message, Place(f"${_variable(key)}"), finding.hint))
        data.pop(key, None)
    return Level(_absolute(data, folder), lambda key: f"environment {_variable(key)}")


def _typed(key: str, text: str) -> Any:
    if key in _LISTS:
        return text.split(os.pathsep)
    if key in _FLAGS and text in ("0", "1"):
        return text == "1"
    return parse(text, "", _SHAPE.get(key)).data


def _variable(key: str) -> str:
    return "FARM_" + key.upper().replace("-", "_")


def _defaults(environ: Mapping[str, str], folder: Path) -> Level:
    home = Path(environ.get("HOME") or "~").expanduser()
    store = Path(environ.get("XDG_CACHE_HOME") or home / ".cache") / "farm"
    data = {"trees": [folder], "store": store, "platform": host_platform()}
    return Level(data, lambda _key: "default")


def _absolute(data: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    def path(text: Any) -> Path:
        return folder / Path(text).expanduser()

    made = dict(data)
    for key in _PATHS & data.keys():
        value = data[key]
        if key in _LISTS:
            made[key] = [
                path(item)
                for item in (value if isinstance(value, Iterable) and not isinstance(value, str) else [value])
            ]
        else:
            made[key] = path(value)
    for seed in made.get("seeds", {}).values():
        url = seed.get("url", "")
        if url and ":" not in url:
            seed["url"] = f"file://{path(url)}"
    return made


def _merge(levels: Sequence[Level]) -> Settings:
    """The value of the highest level that has one; mappings name by name."""
    merged: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for level in levels:
        for key, value in level.data.items():
            if key in _MAPPINGS:
                target = merged.setdefault(key, {})
                for name in value.keys() - target.keys():
                    target[name] = value[name]
                    origins[f"{key}.{name}"] = level.origin(f"{key}.{name}")
                origins.setdefault(key, level.origin(key))
            elif key not in merged:
                merged[key] = tuple(value) if key in _LISTS else value
                origins[key] = level.origin(key)
    fields = {key.replace("-", "_"): value for key, value in merged.items()}
    for key in _MAPPINGS & fields.keys():
        fields[key] = dict(sorted(fields[key].items()))
    return Settings(**fields, origins=origins)


def _unpath(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    return [str(item) for item in value] if isinstance(value, tuple) else value
