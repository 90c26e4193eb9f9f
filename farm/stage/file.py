# SPDX-License-Identifier: GPL-3.0-or-later
"""Stage files (``stages/NAME.yaml``): read, rendered, checked against their schema, and made into `Stage`.

All that is wrong with a file is told at once. What one file cannot tell (whether its seed's stage is there, whether its
packages are) is found by farm/stage/library.py and farm/stage/plan.py.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from farm.plan.job import EPOCH
from farm.spec.document import open_source, render_document
from farm.spec.platform import host_platform
from farm.spec.problem import FarmError, Place, Problem
from farm.spec.quantity import parse_duration
from farm.spec.regex import compile_go
from farm.spec.schema import explain, valid
from farm.spec.yamltext import TEXT, Parsed
from farm.stage.model import (
    FORMATS,
    Bind,
    Check,
    Hook,
    Output,
    PackageSource,
    Release,
    Stage,
    Subset,
    Wanted,
)
from farm.stage.seedfile import read_seed

_COMMANDS: dict[str, Any] = {
    "name": TEXT, "commands": [TEXT], "entrypoint": [TEXT], "environment": {"*": TEXT}, "timeout": TEXT,
}  # fmt: skip
_BINDS: list[Any] = [{"cache": TEXT, "host": TEXT, "target": TEXT}]
_SHAPE: dict[str, Any] = {
    "description": TEXT,
    "platform": TEXT,
    "release": {"*": TEXT},
    "trees": [TEXT],
    "values": [TEXT],
    "seed": {
        **dict.fromkeys(("url", "sha256", "signature", "key", "oci", "digest", "docker", "stage", "quick"), TEXT),
        "wagons": [TEXT],
        "packages": [TEXT],
        "subsets": [TEXT],
        "debootstrap": {"suite": TEXT, "variant": TEXT, "date": TEXT, "packages": [TEXT], "components": [TEXT]},
    },
    "image": TEXT,
    "packages": [TEXT],
    "subsets": {"enabled": [TEXT], "definitions": {"*": [TEXT]}},
    "environment": {"*": TEXT},
    "binds": _BINDS,
    "hooks": [{**_COMMANDS, "binds": _BINDS}],
    "checks": [{**_COMMANDS, "package": TEXT}],
    "excludes": [TEXT],
    "outputs": [{"format": TEXT, "docker": TEXT}],
}
_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")
_LEVEL = {"tar": 0, "tar.gz": 9, "tar.xz": 9, "tar.zst": 19, "oci": 9, "lxd": 9}
_ARCH = {"amd64": "x86-64bit", "386": "x86-32bit", "arm64": "arm-64bit", "arm": "arm-32bit", "riscv64": "riscv-64bit"}
"""Families as Funtoo's mirrors name them."""


def read_stage(path: Path, values: Mapping[str, Any]) -> Stage:
    """The stage of a file, whose template sees ``values``. FarmError with all that is wrong."""
    path = path.absolute()
    source, problems = open_source(str(path))
    if source is None:
        raise FarmError(problems)
    name = path.name.removesuffix(".yaml")
    rendered = render_document(source, {**values, "name": name}, (), _SHAPE)
    if refused := rendered.refused:
        raise FarmError(refused)
    if not valid("stage", rendered.data):
        findings = explain("stage", rendered.data)
        raise FarmError(
            [Problem(f.code, f.message, rendered.parsed.place(f.path, key=f.at_key), f.hint) for f in findings]
        )
    reader = _Reader(path, name, rendered.data, rendered.parsed)
    stage = reader.stage()
    if reader.problems:
        raise FarmError(reader.problems)
    return stage


class _Reader:
    """Makes a document that has the right structure into a stage, and notes what is wrong all the same."""

    def __init__(self, path: Path, name: str, data: Mapping[str, Any], parsed: Parsed) -> None:
        self.path, self.name, self.data, self.parsed = path, name, data, parsed
        self.problems: list[Problem] = []

    def stage(self) -> Stage:
        """The stage, as far as it can be read."""
        data = self.data
        platform = data.get("platform") or host_platform()
        seed, wrong = read_seed(data["seed"], self.path.parent, self.place)
        self.problems += wrong
        if data.get("packages") and not data.get("trees"):
            self._wrong("missing-key", "packages need trees", ("packages",), "add trees: with the folders of the specs")
        checks, check_packages = self._checks()
        subsets = data.get("subsets") or {}
        return Stage(
            self.name,
            seed,
            self._release(platform),
            data.get("root") or "seed",
            data.get("image") or "",
            platform,
            PackageSource(self._folders("trees"), self._files("values")),
            self._wanted(),
            tuple(subsets.get("enabled") or ()),
            self._subsets(subsets.get("definitions") or {}),
            tuple((data.get("environment") or {}).items()),
            self._binds(data.get("binds"), ("binds",)),
            self._hooks(),
            checks,
            check_packages,
            self._excludes(),
            self._outputs(),
            EPOCH if data.get("epoch") is None else int(data["epoch"]),
            data.get("description") or "",
            self.place((), key=False),
        )

    def place(self, path: Sequence[str | int], *, key: bool = False) -> Place:
        """Where ``path`` of the document is in the file."""
        return self.parsed.place(path, key=key)

    def _wrong(self, code: str, message: str, path: Sequence[str | int], hint: str = "") -> None:
        self.problems.append(Problem(code, message, self.place(path), hint))

    def _release(self, platform: str) -> Release:
        release = self.data["release"]
        if not release.get("target") and not _WORD.fullmatch(self.name):
            hint = "give it a target: of letters, digits and _ . + -"
            self._wrong("bad-name", f"the file's name {self.name!r} is no name of a target", ("release",), hint)
        arch = release.get("arch") or _ARCH.get(platform.split("/")[1], platform.split("/")[1])
        return Release(release.get("target") or self.name, release["build"], arch, release["subarch"])

    def _folders(self, key: str) -> tuple[Path, ...]:
        found = []
        for number, text in enumerate(self.data.get(key) or ()):
            path = (self.path.parent / text).absolute()
            if not path.is_dir():
                self._wrong("missing-tree", f"no such folder: {path}", (key, number), "it is relative to this file")
            found.append(path)
        return tuple(found)

    def _files(self, key: str) -> tuple[Path, ...]:
        found = []
        for number, text in enumerate(self.data.get(key) or ()):
            path = (self.path.parent / text).absolute()
            if not path.is_file():
                self._wrong("missing-values", f"no such value file: {path}", (key, number), "check the path given")
            found.append(path)
        return tuple(found)

    def _wanted(self) -> tuple[Wanted, ...]:
        listed = self.data.get("packages") or ()
        return tuple(Wanted(text, self.place(("packages", number))) for number, text in enumerate(listed))

    def _subsets(self, definitions: Mapping[str, Sequence[str]]) -> tuple[Subset, ...]:
        made: list[Subset] = []
        for name, rules in definitions.items():
            for number, rule in enumerate(rules):
                self._regex(rule, ("subsets", "definitions", name, number))
            made.append(Subset(name, tuple(rules), self.place(("subsets", "definitions", name))))
        return tuple(made)

    def _excludes(self) -> tuple[str, ...]:
        texts = tuple(self.data.get("excludes") or ())
        for number, text in enumerate(texts):
            self._regex(text, ("excludes", number))
        return texts

    def _regex(self, text: str, path: Sequence[str | int]) -> None:
        try:
            compile_go(text)
        except FarmError as failure:
            self.problems += [dataclasses.replace(p, place=self.place(path)) for p in failure.problems]

    def _binds(self, listed: Any, path: Sequence[str | int]) -> tuple[Bind, ...]:
        made = []
        for number, one in enumerate(listed or ()):
            here = (*path, number)
            if bool(one.get("cache")) == bool(one.get("host")):
                self._wrong("bad-bind", "a bind has either `cache` or `host`", here, "cache: NAME is kept by the store")
            read_only = bool(one.get("read-only"))
            made.append(Bind(one["target"], one.get("cache", ""), one.get("host", ""), read_only, self.place(here)))
        return tuple(made)

    def _hooks(self) -> tuple[Hook, ...]:
        made: list[Hook] = []
        for number, one in enumerate(self.data.get("hooks") or ()):
            here = ("hooks", number)
            self._unique(one["name"], [hook.name for hook in made], here)
            self._nonempty(one, here)
            made.append(
                Hook(
                    one["name"],
                    one["point"],
                    tuple(one["commands"]),
                    one.get("where") or "root",
                    tuple(one.get("entrypoint") or ()),
                    tuple((one.get("environment") or {}).items()),
                    self._binds(one.get("binds"), (*here, "binds")),
                    bool(one.get("network")),
                    _seconds(one),
                    self.place(here),
                )
            )
        return tuple(made)

    def _checks(self) -> tuple[tuple[Check, ...], tuple[Wanted, ...]]:
        made: list[Check] = []
        packages: list[Wanted] = []
        for number, one in enumerate(self.data.get("checks") or ()):
            here = ("checks", number)
            if "package" in one:
                if set(one) - {"package", "description"}:
                    self._wrong("bad-check", "a check is a package or has a name and commands", here)
                packages.append(Wanted(one["package"], self.place((*here, "package"))))
                continue
            if not one.get("name") or not one.get("commands"):
                hint = "write name: and commands:, or package: category/name"
                self._wrong("bad-check", "a check needs a name and commands, or a package", here, hint)
                continue
            self._unique(one["name"], [check.name for check in made], here)
            environment = tuple((one.get("environment") or {}).items())
            entrypoint = tuple(one.get("entrypoint") or ())
            network = bool(one.get("network"))
            commands = tuple(one["commands"])
            made.append(Check(one["name"], commands, entrypoint, environment, network, _seconds(one), self.place(here)))
        return tuple(made), tuple(packages)

    def _unique(self, name: str, known: Sequence[str], path: Sequence[str | int]) -> None:
        if name in known:
            self._wrong("duplicate-name", f"{name!r} is there twice", (*path, "name"), "give each its own name")

    def _nonempty(self, one: Mapping[str, Any], path: Sequence[str | int]) -> None:
        if not one["commands"]:
            self._wrong("empty-value", f"hook {one['name']!r} has no commands", (*path, "commands"))

    def _outputs(self) -> tuple[Output, ...]:
        made: list[Output] = []
        for number, one in enumerate(self.data["outputs"]):
            here = ("outputs", number)
            fields: dict[str, Any] = {"format": one} if isinstance(one, str) else one
            kind, level = fields["format"], fields.get("level")
            if kind not in FORMATS:
                self._wrong("bad-output", f"unknown output {kind!r}", here, f"one of: {', '.join(FORMATS)}")
                continue
            if level is not None and level > _LEVEL[kind]:
                self._wrong("bad-output", f"{kind} has levels up to {_LEVEL[kind]}", (*here, "level"))
            if fields.get("docker") and kind != "oci":
                self._wrong("bad-output", "only an oci output is loaded into Docker", (*here, "docker"))
            if kind in [output.format for output in made]:
                self._wrong("bad-output", f"{kind} is there twice", here, "remove one of them")
            made.append(Output(kind, None, level, fields.get("docker", ""), self.place(here)))
        if not self.data["outputs"]:
            self._wrong("bad-output", "no output is named", ("outputs",), f"list some of: {', '.join(FORMATS)}")
        return tuple(made)


def _seconds(one: Mapping[str, Any]) -> float | None:
    return None if one.get("timeout") is None else parse_duration(one["timeout"])
