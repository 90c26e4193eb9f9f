# SPDX-License-Identifier: GPL-3.0-or-later
"""What a schema cannot say about a board file."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence
from typing import Any

from farm.image.layout import ENTRIES, Data, Layout, Path, backup_size, shown, size_at, table_end
from farm.image.model import Partition
from farm.image.texts import check_texts
from farm.spec.finding import Finding
from farm.spec.problem import FarmError
from farm.spec.quantity import parse_duration

PLACES = ("size", "table", "partitions", "boot-loader")
"""Keys that say what lies where on the card."""
WAYS = ("extlinux", "config-txt", "boot-scr")
_EGON_OFFSETS = (8192, 131072, 262144)
"""Where boot ROMs of Allwinner look for an SPL (linux-sunxi.org/Bootable_SD_card; H616: 256 KiB)."""


def check_board(data: Data, layout: Layout) -> Iterator[Finding]:
    """Findings in a board file that satisfies its schema."""
    yield from check_places(data, layout)
    yield from _boot(data, layout.partitions)
    yield from _firmware(data, layout.partitions)
    yield from _root(data)
    yield from _users(data)
    yield from _first_boot(data, layout.partitions)
    yield from _test(data)
    yield from _outputs(data)
    yield from check_texts(data)


def check_places(data: Data, layout: Layout) -> Iterator[Finding]:
    """Findings in what lies where: all that looks at nothing but the keys `PLACES`."""
    yield from layout.findings
    yield from _partitions(data, layout.partitions)
    yield from _loaders(data, layout)


def _partitions(data: Data, partitions: Sequence[Partition]) -> Iterator[Finding]:
    if not partitions:
        yield Finding("no-partition", "there is no partition", "add one with mount: /", ("partitions",))
    table = data.get("table") or {}
    if table.get("type", "mbr") == "mbr" and len(partitions) > 4:
        yield Finding("too-many", "an MBR has room for four partitions", "write table: {type: gpt}", ("partitions", 4))
    if "length" in table and table.get("type") != "gpt":
        yield Finding("bad-table", "only a GPT has a length", "write type: gpt", ("table", "length"))
    if table.get("length", ENTRIES) > ENTRIES or len(partitions) > table.get("length", ENTRIES):
        yield Finding("bad-table", "the table's length does not fit", "1 to 128, and one for each partition",
                      ("table", "length"))  # fmt: skip
    for key, code in (("name", "same-name"), ("mount", "same-mount")):
        yield from _same(data["partitions"], key, code)
    roots = [part for part in partitions if part.mount == "/"]
    if not roots:
        yield Finding("no-root", "no partition is mounted as the root", "write mount: / at one", ("partitions",))
    for index, part in enumerate(partitions):
        at: Path = ("partitions", index)
        if part.mount == "/" and part.type != "ext4":
            yield Finding("bad-root", "the root has to be ext4", "write type: ext4", (*at, "type"))
        if part.type == "raw" and part.mount:
            yield Finding("bad-mount", "a raw partition cannot be mounted", "remove mount:", (*at, "mount"))
        if part.type == "fat" and not re.fullmatch(r"[A-Z0-9_-][A-Z0-9_ -]{0,10}", part.label):
            hint = "letters, digits, '-', '_' and spaces, 11 at most"
            yield Finding("bad-label", f"{part.label!r} is no label for a FAT", hint, (*at, "label"))
        if part.type == "ext4" and len(part.label.encode()) > 16:
            yield Finding("bad-label", f"{part.label!r} is too long", "ext4 has room for 16 bytes", (*at, "label"))


def _same(items: Sequence[Data], key: str, code: str) -> Iterator[Finding]:
    seen: set[str] = set()
    for index, item in enumerate(items):
        if (value := item.get(key)) in seen and value:
            yield Finding(code, f"{value} is used twice", "", ("partitions", index, key))
        seen.add(value or "")


def _loaders(data: Data, layout: Layout) -> Iterator[Finding]:
    placed: list[tuple[int, int, int]] = []
    for index, given in enumerate(data.get("boot-loader") or ()):
        at: Path = ("boot-loader", index)
        wrong: list[Finding] = []
        offset, room = (size_at(data, (*at, key), wrong) if key in given else 1 for key in ("offset", "room"))
        yield from wrong
        if offset is None or room is None:
            continue
        end = offset + max(room, 1)
        yield from _loader_place(data, layout, offset, end, (*at, "offset"))
        if given.get("kind") == "egon" and offset not in _EGON_OFFSETS:
            hint = "one of: " + ", ".join(shown(known) for known in _EGON_OFFSETS)
            yield Finding("bad-offset", f"no boot ROM looks for an SPL at {shown(offset)}", hint, (*at, "offset"))
        for other, start, behind in placed:
            if offset < behind and start < end:
                hint = f"entry {other + 1} is at {shown(start)} to {shown(behind)}"
                yield Finding("loaders-overlap", "two boot loaders lie over each other", hint, (*at, "offset"))
        placed.append((index, offset, end))


def _loader_place(data: Data, layout: Layout, start: int, end: int, at: Path) -> Iterator[Finding]:
    behind = layout.size - backup_size(data)
    if end > behind:
        message = f"the boot loader at {shown(start)} to {shown(end)} ends behind {shown(behind)}"
        yield Finding("loader-outside", message, f"the image has {shown(layout.size)}; make it larger", at)
    if start < table_end(data):
        hint = f"the partition table ends at byte {table_end(data)}"
        if (data.get("table") or {}).get("type") == "gpt":
            hint += "; `table: {type: gpt, length: 56}` ends at 8K"
        yield Finding("inside-table", f"the boot loader at {shown(start)} lies inside the partition table", hint, at)
    for part in layout.partitions:
        if start < part.end and part.start < end:
            hint = f"let the partition begin behind {shown(end)}, or move the boot loader"
            message = f"the boot loader at {shown(start)} to {shown(end)} lies over partition {part.name}"
            yield Finding("loader-over-partition", f"{message} at {shown(part.start)}", hint, at)


def _boot(data: Data, partitions: Sequence[Partition]) -> Iterator[Finding]:
    boot: Data = data["boot"]
    ways = [way for way in WAYS if way in boot]
    by_loader = [way for way in ways if way != "config-txt"]
    if not ways or len(by_loader) > 1:
        hint = (
            f"write exactly one of {', '.join(WAYS)}; config-txt can start a boot loader that reads one of the others"
        )
        yield Finding("bad-boot", f"there are {len(ways)} ways to start the kernel", hint, ("boot",))
    if "config-txt" in boot:
        yield from _config_txt(boot, by_loader)
    named = {part.name: part for part in partitions}
    if "partition" in boot and boot["partition"] not in named:
        yield _unknown_partition(boot["partition"], named, ("boot", "partition"))
    elif "partition" in boot and named[boot["partition"]].type != "fat" and named[boot["partition"]].mount != "/":
        hint = "name a FAT partition, or the root"
        yield Finding("bad-boot", "boot files go into a FAT or the root", hint, ("boot", "partition"))
    if "config-txt" in boot and getattr(named.get(boot.get("partition", "")), "type", "") != "fat":
        hint = "name a FAT partition with partition:"
        yield Finding("bad-boot", "the Raspberry Pi reads config.txt from a FAT", hint, ("boot", "config-txt"))
    if boot.get("extlinux", {}).get("timeout", 0) > 36000:
        at: Path = ("boot", "extlinux", "timeout")
        yield Finding("bad-value", "the boot loader would wait for more than an hour", "tenths of a second", at)
    if "boot-scr" in boot and "'" in data["kernel"].get("command-line", ""):
        hint = 'quote with "'
        yield Finding("bad-line", "U-Boot's shell has no way to quote a '", hint, ("kernel", "command-line"))
    needs_tree = boot.get("extlinux", {}).get("device-tree") == "file" or "config-txt" in boot
    if needs_tree and "device-tree" not in data:
        yield Finding("missing-key", "device-tree is missing", "name the board's device tree", ("boot",))


def _config_txt(boot: Data, by_loader: Sequence[str]) -> Iterator[Finding]:
    """The firmware starts the kernel, or what config.txt names: then that has to have its own configuration."""
    named = next((n for n, line in enumerate(boot["config-txt"]) if line.replace(" ", "").startswith("kernel=")), None)
    if by_loader and named is None:
        hint = "add the boot loader to firmware:, and kernel=FILE to config-txt"
        yield Finding("bad-boot", f"nothing reads {by_loader[0]}: the firmware starts the kernel", hint, ("boot",))
    if named is not None and not by_loader:
        hint = "leave the line out; for a boot loader, add extlinux: or boot-scr:"
        yield Finding("bad-boot", "the farm names the kernel in config.txt", hint, ("boot", "config-txt", named))
    if by_loader and "device-tree" in (boot.get("extlinux") or {}):
        hint = "leave device-tree: out"
        at: Path = ("boot", "extlinux", "device-tree")
        yield Finding("bad-boot", "the Raspberry Pi's firmware gives the boot loader a device tree", hint, at)


def _unknown_partition(name: str, known: dict[str, Any], at: Path) -> Finding:
    return Finding("unknown-partition", f"there is no partition {name!r}", "one of: " + ", ".join(known), at)


def _firmware(data: Data, partitions: Sequence[Partition]) -> Iterator[Finding]:
    named = {part.name: part for part in partitions}
    for index, given in enumerate(data.get("firmware") or ()):
        at: Path = ("firmware", index)
        if given["partition"] not in named:
            yield _unknown_partition(given["partition"], named, (*at, "partition"))
        elif named[given["partition"]].type != "fat":
            yield Finding("bad-partition", "firmware goes into FAT partitions", "", (*at, "partition"))


def _root(data: Data) -> Iterator[Finding]:
    root: Data = data["root"]
    if not root.get("packages") and not root.get("tarball"):
        yield Finding("no-root", "the root is made of nothing", "add packages: or tarball:", ("root",))
    seen: set[str] = set()
    for index, given in enumerate(root.get("files") or ()):
        at: Path = ("root", "files", index)
        plain = posixpath.normpath(given["path"])
        if plain in seen:
            yield Finding("same-path", f"{given['path']} is written twice", "", (*at, "path"))
        seen.add(plain)
        if ("content" in given) == ("source" in given):
            yield Finding("bad-file", "a file has content: or source:, not both or none", "", at)
        if given.get("mode", 0) > 0o7777:
            yield Finding("bad-mode", "the mode is above 07777", "", (*at, "mode"))


def _users(data: Data) -> Iterator[Finding]:
    seen: set[str] = set()
    for index, given in enumerate(data.get("users") or ()):
        at: Path = ("users", index)
        if given["name"] in seen:
            yield Finding("same-name", f"user {given['name']} is there twice", "", (*at, "name"))
        seen.add(given["name"])
        if "password" in given and "password-hash" in given:
            yield Finding("bad-user", "a user has password: or password-hash:, not both", "", at)
        if given.get("uid", 0) > 60000:
            yield Finding("bad-user", "a user's number is 60000 at most", "", (*at, "uid"))


def _first_boot(data: Data, partitions: Sequence[Partition]) -> Iterator[Finding]:
    actions = data.get("first-boot") or []
    if actions and "initrd" not in data:
        hint = "add initrd: with a busybox"
        yield Finding("no-initrd", "the initial RAM disk does first-boot actions, and there is none", hint,
                      ("first-boot",))  # fmt: skip
    if "grow-root" not in actions:
        return
    at: Path = ("first-boot", actions.index("grow-root"))
    if "initrd" in data and "grow" not in data["initrd"]:
        hint = "add grow: to initrd:, for example tools/growroot-arm64"
        yield Finding("no-grow", "grow-root needs a program", hint, at)
    root = next((part for part in partitions if part.mount == "/"), None)
    if root and any(part.start > root.start for part in partitions):
        yield Finding("root-not-last", "only the last partition can grow", "put the root last", at)


def _outputs(data: Data) -> Iterator[Finding]:
    given = data.get("outputs", ["img"])
    for index, output in enumerate(given or ()):
        if output in given[:index]:
            yield Finding("same-name", f"output {output} is there twice", "", ("outputs", index))
    if not given:
        yield Finding("bad-value", "there are no outputs", "leave outputs: away for img and zst", ("outputs",))


def _test(data: Data) -> Iterator[Finding]:
    test: Data = data.get("test") or {}
    if test.get("machine") == "virt" and not (test.get("package") and test.get("file")):
        hint = "name package: and file:, for example boot/u-boot-qemu and usr/lib/u-boot/qemu_arm64/u-boot.bin"
        yield Finding("no-loader", "QEMU's virt needs a boot loader", hint, ("test", "machine"))
    try:
        parse_duration(test.get("timeout", 300))
    except FarmError as failure:
        yield Finding("bad-duration", failure.problems[0].message, failure.problems[0].hint, ("test", "timeout"))
    for index, check in enumerate(test.get("checks") or ()):
        try:
            re.compile(check.get("expect", ""))
        except re.error as failure:
            yield Finding("bad-regex", f"expect: {failure}", "", ("test", "checks", index, "expect"))
