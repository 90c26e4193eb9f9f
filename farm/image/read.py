# SPDX-License-Identifier: GPL-3.0-or-later
"""Board files: found, rendered, checked, and made into a `Board`. All problems at once, each with its place."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from farm.image.check import PLACES, check_board, check_places
from farm.image.layout import Layout, backup_size, fixed_uuid, lay_out
from farm.image.model import Board, Boot, BootTest, Check, Firmware, Loader, RootFile, User
from farm.image.texts import BOARD
from farm.spec.document import open_source, render_document
from farm.spec.problem import FarmError, Place, Problem, error
from farm.spec.quantity import parse_duration, parse_size
from farm.spec.schema import explain, valid
from farm.spec.yamltext import TEXT, Parsed

FOLDER = "images"
TOOLS = "tools/image"

_SHAPE: dict[str, Any] = {
    **dict.fromkeys(("description", "platform", "tools", "hostname", "console", "device-tree"), TEXT),
    "kernel": {"*": TEXT},
    "partitions": [dict.fromkeys(("name", "type", "label", "mount"), TEXT)],
    "boot-loader": [dict.fromkeys(("package", "file", "name", "kind"), TEXT)],
    "firmware": [{"package": TEXT, "files": [TEXT], "partition": TEXT, "to": TEXT}],
    "boot": {"partition": TEXT, "config-txt": [TEXT], "boot-scr": [TEXT]},
    "root": {
        "packages": [TEXT],
        "tarball": {"*": TEXT},
        "files": [dict.fromkeys(("path", "content", "source"), TEXT)],
    },
    "initrd": {"busybox": TEXT, "grow": TEXT, "modules": [TEXT]},
    "users": [
        {**dict.fromkeys(("name", "password", "password-hash", "shell"), TEXT), "groups": [TEXT], "ssh-keys": [TEXT]}
    ],
    "test": {
        **dict.fromkeys(("machine", "cpu", "package", "file"), TEXT),
        "install": [TEXT],
        "checks": [dict.fromkeys(("name", "run", "expect"), TEXT)],
    },
}

Data = dict[str, Any]


def board_files(folders: Iterable[Path]) -> dict[str, Path]:
    """Board files by name: every ``NAME.yaml`` of the folders, the first folder's first."""
    found: dict[str, Path] = {}
    for folder in folders:
        for path in sorted(folder.glob("*.yaml")) if folder.is_dir() else ():
            found.setdefault(path.stem, path)
    return found


def find_board(name: str, folders: Sequence[Path]) -> Path:
    """The file of a board, given by name or as a path. FarmError ``unknown-board``."""
    if name.endswith((".yaml", ".yml")) and Path(name).is_file():
        return Path(name).absolute()
    known = board_files(folders)
    if name in known:
        return known[name].absolute()
    near = difflib.get_close_matches(name, list(known), n=3)
    places = ", ".join(str(folder) for folder in folders)
    hint = f"did you mean {' or '.join(near)}?" if near else f"board files are NAME.yaml in {places}"
    raise error("unknown-board", f"there is no board {name!r}", hint=hint)


def read_boards(files: Sequence[Path], values: Mapping[str, Any]) -> list[Board]:
    """Several boards, each once. FarmError with all that is wrong in any of them, ``same-name`` for two of one name."""
    boards, problems = try_boards(files, values)
    if problems:
        raise FarmError(problems)
    return boards


def try_boards(files: Sequence[Path], values: Mapping[str, Any]) -> tuple[list[Board], list[Problem]]:
    """The boards that are right, and what is wrong with the others."""
    boards: list[Board] = []
    problems: list[Problem] = []
    named: dict[str, Path] = {}
    for file in dict.fromkeys(files):
        if (other := named.setdefault(file.stem, file)) != file:
            hint = "images are called like their boards: build them one after the other"
            problems.append(Problem("same-name", f"{other} is called {file.stem}, too", Place(str(file), 1, 1), hint))
        try:
            boards.append(read_board(file, values))
        except FarmError as failure:
            problems += failure.problems
    return boards, problems


def read_board(file: Path, values: Mapping[str, Any]) -> Board:
    """A board file, a template with ``.Values`` (``.Values.name`` is its name). FarmError with all that is wrong."""
    if not BOARD.fullmatch(file.stem):
        hint = "letters, digits, '-', '_' and '+', 64 at most: it is the name of the image"
        raise FarmError(Problem("bad-name", f"{file.stem!r} is no name for a board", Place(str(file), 1, 1), hint))
    source, problems = open_source(str(file))
    if source is None:
        raise FarmError(problems)
    rendered = render_document(source, {**values, "name": file.stem}, (), _SHAPE)
    data, parsed = rendered.data, rendered.parsed
    problems = [*problems, *rendered.refused]
    if not problems and not valid("board", data):
        findings = explain("board", data)
        if all(finding.path and finding.path[0] not in PLACES for finding in findings):
            findings += check_places(data, lay_out(file.stem, data))
        problems += [Problem(f.code, f.message, parsed.place(f.path, key=f.at_key), f.hint) for f in findings]
    if problems:
        raise FarmError(sorted(problems, key=lambda p: p.place or Place("")))
    layout = lay_out(file.stem, data)
    problems = [Problem(f.code, f.message, parsed.place(f.path), f.hint) for f in check_board(data, layout)]
    problems += _missing_files(file, data, parsed)
    if problems:
        raise FarmError(sorted(problems, key=lambda p: p.place or Place("")))
    return _Made(file, data, parsed, layout).board()


def _missing_files(file: Path, data: Data, parsed: Parsed) -> list[Problem]:
    """Files beside the board file that are not there."""
    found: list[Problem] = []
    for index, given in enumerate(data["root"].get("files") or ()):
        if "source" in given and not (file.parent / given["source"]).is_file():
            place = parsed.place(("root", "files", index, "source"))
            found.append(Problem("missing-file", f"there is no file {given['source']}", place))
    tarball = (data["root"].get("tarball") or {}).get("url", "")
    if tarball and ":" not in tarball and not (file.parent / tarball).is_file():
        place = parsed.place(("root", "tarball", "url"))
        found.append(Problem("missing-file", f"there is no file {tarball}", place))
    return found


class _Made:
    """Makes the board of data that was checked."""

    def __init__(self, file: Path, data: Data, parsed: Parsed, layout: Layout) -> None:
        self.file = file
        self.data = data
        self.parsed = parsed
        self.layout = layout

    def board(self) -> Board:
        data, table, initrd = self.data, self.data.get("table") or {}, self.data.get("initrd") or {}
        kernel, root = data["kernel"], data["root"]
        tarball = root.get("tarball")
        return Board(
            name=self.file.stem,
            file=self.file,
            place=self.parsed.place,
            description=data.get("description", ""),
            platform=data["platform"],
            trees=tuple((self.file.parent / tree).resolve() for tree in data.get("trees") or ()),
            tools=data.get("tools", TOOLS),
            size=self.layout.size,
            gpt=table.get("type") == "gpt",
            table_length=int(table.get("length", 128)),
            disk_id=fixed_uuid(self.file.stem, "disk"),
            partitions=tuple(self.layout.partitions),
            kernel=kernel["package"],
            kernel_image=kernel.get("image", "boot/vmlinuz"),
            device_trees=kernel.get("device-trees", "boot/dtb").strip("/"),
            modules_in_root=kernel.get("modules", "all") == "all",
            command_line=kernel.get("command-line", ""),
            device_tree=data.get("device-tree", ""),
            busybox=initrd.get("busybox", ""),
            grow=initrd.get("grow", ""),
            initrd_modules=tuple(initrd.get("modules") or ()),
            loaders=self._loaders(),
            firmware=self._firmware(),
            boot=self._boot(),
            root_packages=tuple(root.get("packages") or ()),
            tarball=(self._url(tarball["url"]), tarball["sha256"]) if tarball else None,
            files=self._files(),
            hostname=data.get("hostname", ""),
            users=tuple(_user(given) for given in data.get("users") or ()),
            first_boot=tuple(data.get("first-boot") or ()),
            console=data.get("console", ""),
            outputs=tuple(data.get("outputs") or ("img", "zst")),
            test=_test(data["test"]) if data.get("test") else None,
        )

    def _url(self, url: str) -> str:
        return url if ":" in url else str((self.file.parent / url).resolve())

    def _loaders(self) -> tuple[Loader, ...]:
        """``room`` is up to what comes next: another boot loader, the first partition behind, or the image's end."""
        given = self.data.get("boot-loader") or ()
        starts = [parse_size(item["offset"]) for item in given]
        starts += [part.start for part in self.layout.partitions]
        starts.append(self.layout.size - backup_size(self.data))
        made = []
        for item in given:
            offset = parse_size(item["offset"])
            room = parse_size(item["room"]) if "room" in item else min(s for s in starts if s > offset) - offset
            kind = item.get("kind", "other")
            made.append(Loader(item["package"], item["file"].lstrip("/"), offset, room, kind, item.get("name", "")))
        return tuple(made)

    def _firmware(self) -> tuple[Firmware, ...]:
        return tuple(
            Firmware(x["package"], tuple(f.lstrip("/") for f in x["files"]), x["partition"], x.get("to", "").strip("/"))
            for x in self.data.get("firmware") or ()
        )

    def _boot(self) -> Boot:
        boot: Data = self.data["boot"]
        root = next(part.name for part in self.layout.partitions if part.mount == "/")
        extlinux = boot.get("extlinux") or {}
        lines = {key: tuple(boot[key]) if key in boot else None for key in ("config-txt", "boot-scr")}
        return Boot(
            boot.get("partition", root),
            "extlinux" in boot,
            extlinux.get("device-tree", "folder") == "folder",
            int(extlinux.get("timeout", 1)),
            lines["config-txt"],
            lines["boot-scr"],
        )

    def _files(self) -> tuple[RootFile, ...]:
        return tuple(
            RootFile(
                given["path"],
                given.get("content", ""),
                (self.file.parent / given["source"]).resolve() if "source" in given else None,
                int(given.get("mode", 0o644)),
            )
            for given in self.data["root"].get("files") or ()
        )


def _user(given: Data) -> User:
    return User(
        given["name"],
        given.get("password", ""),
        given.get("password-hash", ""),
        int(given["uid"]) if "uid" in given else None,
        tuple(given.get("groups") or ()),
        given.get("shell", "/bin/sh"),
        tuple(given.get("ssh-keys") or ()),
    )


def _test(given: Data) -> BootTest:
    checks = tuple(Check(c["name"], c["run"], c.get("expect", "")) for c in given.get("checks") or ())
    timeout = parse_duration(given.get("timeout", 300))
    loader = (given.get("package", ""), given.get("file", ""))
    install = tuple(given.get("install") or ())
    return BootTest(given["machine"], given.get("cpu", ""), *loader, timeout, checks, install)
