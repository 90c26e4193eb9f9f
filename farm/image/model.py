# SPDX-License-Identifier: GPL-3.0-or-later
"""A board file as data: what an SD card image is made of. Sizes and offsets in bytes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from farm.spec.problem import Place

SECTOR = 512
MEBIBYTE = 1 << 20

Content = Literal["ext4", "fat", "raw"]
FirstBoot = Literal["grow-root", "ssh-host-keys", "machine-id"]
Output = Literal["img", "zst", "xz"]


@dataclasses.dataclass(frozen=True, slots=True)
class Partition:
    """A partition with its place on the card. ``uuid`` is of its file system; FAT has 32 bits of it."""

    number: int
    name: str
    type: Content
    start: int
    size: int
    label: str
    mount: str
    bootable: bool
    uuid: str

    @property
    def end(self) -> int:
        """The first byte behind it."""
        return self.start + self.size


@dataclasses.dataclass(frozen=True, slots=True)
class Loader:
    """A file that is written at an offset of the card, and what is looked for there."""

    package: str
    file: str
    offset: int
    room: int
    kind: Literal["egon", "fit", "uimage", "other"]
    name: str


@dataclasses.dataclass(frozen=True, slots=True)
class Firmware:
    """Files (shell patterns) of a package that go into a partition."""

    package: str
    files: tuple[str, ...]
    partition: str
    to: str


@dataclasses.dataclass(frozen=True, slots=True)
class RootFile:
    """A file over the root: its text, or a file on this host."""

    path: str
    content: str
    source: Path | None
    mode: int


@dataclasses.dataclass(frozen=True, slots=True)
class User:
    """A user. ``password`` in the clear or ``password_hash``; neither: no password fits."""

    name: str
    password: str
    password_hash: str
    uid: int | None
    groups: tuple[str, ...]
    shell: str
    ssh_keys: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Check:
    """A command that has to succeed in the booted guest, with an output that matches ``expect``."""

    name: str
    run: str
    expect: str


@dataclasses.dataclass(frozen=True, slots=True)
class BootTest:
    """How QEMU boots the image. ``package`` and ``file``: a boot loader for ``virt``. ``timeout`` in seconds.

    ``install``: packages that the guest installs from a wagon.
    """

    machine: str
    cpu: str
    package: str
    file: str
    timeout: float
    checks: tuple[Check, ...]
    install: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Boot:
    """How the kernel is started: one of the ways, or by a boot loader that ``config_txt`` names, and one more."""

    partition: str
    extlinux: bool = False
    fdtdir: bool = True
    timeout: int = 1
    config_txt: tuple[str, ...] | None = None
    boot_scr: tuple[str, ...] | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Board:
    """All of a board file. ``place`` finds the position of a path of keys in it."""

    name: str
    file: Path
    place: Callable[[tuple[str | int, ...]], Place] = dataclasses.field(compare=False, repr=False)
    description: str
    platform: str
    trees: tuple[Path, ...]
    tools: str
    size: int
    gpt: bool
    table_length: int
    disk_id: str
    partitions: tuple[Partition, ...]
    kernel: str
    kernel_image: str
    device_trees: str
    modules_in_root: bool
    command_line: str
    device_tree: str
    busybox: str
    grow: str
    initrd_modules: tuple[str, ...]
    loaders: tuple[Loader, ...]
    firmware: tuple[Firmware, ...]
    boot: Boot
    root_packages: tuple[str, ...]
    tarball: tuple[str, str] | None
    files: tuple[RootFile, ...]
    hostname: str
    users: tuple[User, ...]
    first_boot: tuple[FirstBoot, ...]
    console: str
    outputs: tuple[Output, ...]
    test: BootTest | None

    @property
    def root(self) -> Partition:
        """The partition that is mounted as the root."""
        return next(part for part in self.partitions if part.mount == "/")

    @property
    def boot_partition(self) -> Partition:
        """The partition with kernel and boot configuration."""
        return next(part for part in self.partitions if part.name == self.boot.partition)

    @property
    def packages(self) -> tuple[str, ...]:
        """All packages whose files are used as they are, each once: kernel, boot loaders, firmware, initrd."""
        named = [self.kernel, self.busybox, self.grow, *(x.package for x in self.loaders)]
        return tuple(dict.fromkeys(name for name in [*named, *(x.package for x in self.firmware)] if name))

    def to_json(self) -> dict[str, Any]:
        """What ``farm image show --json`` prints."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "place"}
        return {name: _plain(value) for name, value in fields.items()}


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value
