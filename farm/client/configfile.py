# SPDX-License-Identifier: GPL-3.0-or-later
"""One configuration document: which file it is, and which of flags, environment, file and default gives a value."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from farm.spec.problem import Problem
from farm.spec.yamltext import decode, parse

FLAGS = {
    "system_target": "system.rootfs",
    "system_dbpath": "system.database_path",
    "system_engine": "system.database_engine",
    "same_owner": "general.same_owner",
    "concurrency": "general.concurrency",
    "debug": "general.debug",
    "skip_config_protect": "config_protect_skip",
    "overwrite_existing_dir_perms": "general.overwrite_dir_perms",
}
"""Flag on the command line → key of the document."""

_TRUE, _FALSE = ("1", "t", "true", "yes", "y", "on"), ("0", "f", "false", "no", "n", "off", "")


def find_file(environ: Mapping[str, str]) -> Path | None:
    """The configuration file that the Go client would take: of the working directory, the user, the host."""
    named = environ.get("ANISE_CONFIG") or environ.get("LUET_CONFIG")
    if named:
        return Path(named)
    home = Path(environ["HOME"]) if environ.get("HOME") else None
    folders = [folder for folder in (Path.cwd(), home) if folder is not None]
    places = [folder / f".{family}.yaml" for folder in folders for family in ("anise", "luet")]
    places += [Path(f"/etc/{family}/{family}.yaml") for family in ("anise", "luet")]
    return next((place for place in places if place.is_file()), None)


def read_document(path: Path, problems: list[Problem]) -> dict[str, Any]:
    """The mapping in a YAML file; problems ``unreadable-config`` and ``bad-config`` are added."""
    try:
        content = path.read_bytes()
    except OSError as fault:
        problems.append(Problem("unreadable-config", f"{path} cannot be read: {fault.strerror}"))
        return {}
    text, bad = decode(content, str(path))
    parsed = parse(text, str(path))
    problems += [*bad, *(problem for problem in parsed.problems if problem.severity == "error")]
    if parsed.data is None:
        return {}
    if not isinstance(parsed.data, dict):
        problems.append(Problem("bad-config", f"{path} is not a mapping", parsed.place(())))
        return {}
    return parsed.data


class Document:
    """The values of a configuration by dotted key (``system.rootfs``): flag, environment, file, default.

    In the environment, a key is written ``LUET_SYSTEM__ROOTFS`` (or ``ANISE_…``).
    """

    def __init__(
        self,
        data: Mapping[str, Any],
        family: str,
        flags: Mapping[str, Any],
        environ: Mapping[str, str],
        problems: list[Problem],
    ) -> None:
        self.data = data
        self.family = family
        self.problems = problems
        self._environ = environ
        self._given = {FLAGS[flag]: value for flag, value in flags.items() if flag in FLAGS and value not in (None, "")}
        self._defaults = _defaults(family)

    def variable(self, name: str) -> str:
        """A variable of the environment by its whole name; empty when it is not set."""
        return self._environ.get(name, "")

    def switch(self, name: str) -> bool:
        """Whether ``LUET_NAME`` or ``ANISE_NAME`` is true."""
        written = self._environ.get(f"ANISE_{name}") or self._environ.get(f"LUET_{name}") or ""
        return written.lower() in _TRUE

    def value(self, key: str) -> Any:
        """What holds for a key, as it was written."""
        if key in self._given:
            return self._given[key]
        name = key.upper().replace(".", "__")
        for prefix in ("ANISE_", "LUET_"):
            if self._environ.get(prefix + name):
                return self._environ[prefix + name]
        found: Any = self.data
        for part in key.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
        return self._defaults.get(key) if found is None else found

    def text(self, key: str) -> str:
        """A value that is text."""
        value = self.value(key)
        if isinstance(value, (dict, list)):
            self._bad(key, value, "text")
            return str(self._defaults.get(key, ""))
        return str(value)

    def number(self, key: str) -> int:
        """A value that is a whole number."""
        value = self.value(key)
        try:
            return int(value)
        except (TypeError, ValueError):
            self._bad(key, value, "a whole number")
            return int(self._defaults[key])

    def flag(self, key: str) -> bool:
        """A value that is true or false."""
        value = self.value(key)
        if str(value).lower() in _TRUE:
            return True
        if str(value).lower() not in _FALSE:
            self._bad(key, value, "true or false")
        return False

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts; in the environment they are separated by spaces or commas."""
        value = self.value(key) or ()
        if isinstance(value, str):
            value = value.replace(",", " ").split()
        if not isinstance(value, (list, tuple)):
            self._bad(key, value, "a list")
            return ()
        return tuple(str(item) for item in value)

    def finalizer_envs(self) -> tuple[tuple[str, str], ...]:
        """``finalizer_envs``: a list of ``{key, value}``."""
        found: dict[str, str] = {}
        for item in self.data.get("finalizer_envs") or ():
            if isinstance(item, Mapping) and "key" in item:
                found[str(item["key"])] = str(item.get("value", ""))
            else:
                self._bad("finalizer_envs", item, "a list of {key, value}")
        return tuple(found.items())

    def resolved(self) -> dict[str, Any]:
        """The whole document with what holds in the place of what was written."""
        out: dict[str, Any] = {}
        for key in self._defaults:
            folder, _, name = key.rpartition(".")
            (out.setdefault(folder, {}) if folder else out)[name] = self._typed(key)
        return {**{key: value for key, value in self.data.items() if key not in out}, **out}

    def _typed(self, key: str) -> Any:
        """What holds for a key, of its default's type."""
        default = self._defaults[key]
        if isinstance(default, bool):
            return self.flag(key)
        if isinstance(default, int):
            return self.number(key)
        return list(self.texts(key)) if isinstance(default, list) else self.text(key)

    def _bad(self, key: str, value: object, wanted: str) -> None:
        self.problems.append(Problem("bad-config", f"{key} is {value!r}, but should be {wanted}"))


def _defaults(family: str) -> dict[str, Any]:
    return {
        "general.concurrency": os.cpu_count() or 1,
        "general.same_owner": os.geteuid() == 0,
        "general.debug": False,
        "general.client_timeout": 3600,
        "general.client_multifetch": 2,
        "general.overwrite_dir_perms": False,
        "system.database_engine": "boltdb",
        "system.database_path": f"/var/cache/{family}",
        "system.rootfs": "/",
        "system.pkgs_cache_path": "packages",
        "system.tmpdir_base": str(Path(tempfile.gettempdir()) / f"tmp{family}"),
        "repos_confdir": [f"/etc/{family}/repos.conf.d"],
        "config_protect_confdir": [f"/etc/{family}/config.protect.d"],
        "packages_maskdir": [f"/etc/{family}/mask.d"],
        "subsets_confdir": [f"/etc/{family}/subsets.conf.d"],
        "subsets_defdir": [f"/etc/{family}/subsets.def.d"],
        "config_protect_skip": False,
        "config_from_host": True,
    }
