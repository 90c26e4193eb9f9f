# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes where: the boot files, the initial RAM disk, and what is put over the root."""

from __future__ import annotations

import difflib
import fnmatch
import lzma
import posixpath
import struct
import subprocess
import tarfile
import zlib
from pathlib import Path
from typing import Any

from farm.image.inside import accounts
from farm.image.inside.cpio import Archive
from farm.image.inside.modules import FILES, Modules
from farm.image.inside.packages import Packages
from farm.image.inside.report import Findings
from farm.image.inside.roottar import Over, Root

_UIMAGE_MAGIC = 0x27051956
_ARCHITECTURES = {"linux/arm/v7": 2, "linux/arm64": 22, "linux/amd64": 24}
"""IH_ARCH_* of U-Boot's include/image.h."""

Plan = dict[str, Any]
Names = tuple[str | int, ...]


class Content:
    """Everything that is written, gathered, with findings for what is wrong."""

    def __init__(self, plan: Plan, root: Root, packages: Packages, findings: Findings) -> None:
        self.plan = plan
        self.root = root
        self.packages = packages
        self.findings = findings
        self.loaders: list[tuple[int, bytes]] = []
        self.fat: dict[str, dict[str, bytes]] = {}
        """Files of each FAT partition, by path."""
        self.over = Over(root, Path("over.tar"), plan["epoch"])
        self.prefix = "" if plan["boot"]["fat"] else plan["boot"]["prefix"]

    def gather(self) -> None:
        """All of it."""
        self._loaders()
        self._firmware()
        self._kernel()
        self._configuration()
        accounts.apply(self.plan, self.root, self.over, self.findings)
        self._settings()
        self._files()
        self.over.close()
        self._check_size()

    def archives(self, part: Plan) -> list[tuple[Path, int]]:
        """The archives that an ext4 partition is filled from: only the root is."""
        if part["mount"] != "/":
            return []
        over = Path("over.tar")
        with tarfile.open(over) as tar:
            tar.getmembers()
            end = tar.offset
        return [(self.root.tar, self.root.end), (over, end)]

    def files(self, part: Plan) -> int:
        """About how many inodes a partition needs."""
        return len(self.root.kinds) + len(self.over.kinds) if part["mount"] == "/" else 0

    def _loaders(self) -> None:
        for index, loader in enumerate(self.plan["loaders"]):
            at: Names = ("boot-loader", index)
            data = self._file(loader["package"], loader["file"], (*at, "file"))
            if data is None:
                continue
            if len(data) > loader["room"]:
                message = f"{loader['file']} has {len(data)} bytes; there is room for {loader['room']}"
                hint = "give it more room: let the first partition, or what else comes next, begin later"
                self.findings.add("loader-over-partition", message, (*at, "offset"), hint)
            self.loaders.append((loader["offset"], data))

    def _file(self, package: str, name: str, at: Names) -> bytes | None:
        if name in self.packages.names(package):
            return self.packages.read(package, name)
        known, base = self.packages.names(package), posixpath.basename(name)
        near = difflib.get_close_matches(name, [other for other in known if posixpath.basename(other) == base], 3, 0)
        hint = f"did you mean {' or '.join(near)}?" if near else f"the package has {len(known)} files"
        self.findings.add("unknown-file", f"{package} has no file {name}", at, hint)
        return None

    def _firmware(self) -> None:
        for index, firmware in enumerate(self.plan["firmware"]):
            for number, pattern in enumerate(firmware["files"]):
                found = self.packages.matching(firmware["package"], pattern)
                if not found:
                    at: Names = ("firmware", index, "files", number)
                    self.findings.add("unknown-file", f"{firmware['package']} has no file {pattern}", at)
                for name in found:
                    path = posixpath.join(firmware["to"], posixpath.basename(name))
                    data = self.packages.read(firmware["package"], name)
                    self.fat.setdefault(firmware["partition"], {})[path] = data

    def _put(self, name: str, data: bytes) -> None:
        """A file of the boot folder: in the FAT, or below the root's /boot."""
        if self.plan["boot"]["fat"]:
            self.fat.setdefault(self.plan["boot"]["partition"], {})[name] = data
        else:
            self.over.file(f"{self.prefix}/{name}", data)

    def _kernel(self) -> None:
        plan = self.plan
        kernel = self._file(plan["kernel"], plan["kernel_image"], ("kernel", "image"))
        if kernel is not None:
            self._put(plan["kernel_name"], kernel)
        if tree := plan["device_tree"]:
            self._device_tree(tree)
        if plan["busybox"]:
            self._put("initrd.img", self._initrd())
        if plan["modules_in_root"]:
            self._modules_into_root()

    def _device_tree(self, tree: str) -> None:
        known = self.packages.names(self.plan["kernel"])
        name = f"{self.plan['device_trees']}/{tree}"
        if name not in known:
            top = self.plan["device_trees"] + "/"
            trees = [other.removeprefix(top) for other in known if other.startswith(top)]
            near = difflib.get_close_matches(tree, trees, n=3)
            hint = f"did you mean {' or '.join(near)}?" if near else f"{self.plan['kernel']} has {len(trees)} of them"
            self.findings.add("unknown-device-tree", f"there is no device tree {tree}", ("device-tree",), hint)
            return
        data = self.packages.read(self.plan["kernel"], name)
        self._put(posixpath.basename(tree) if self.plan["boot"]["config_txt"] is not None else f"dtb/{tree}", data)

    def _initrd(self) -> bytes:
        archive = Archive(self.plan["epoch"])
        for folder in ("bin", "dev", "modules", "newroot", "proc", "run", "sys"):
            archive.folder(folder)
        archive.device("dev/console", 5, 1)
        archive.file("init", Path(__file__).with_name("init.sh").read_bytes(), 0o755)
        busybox = next(
            (n for n in ("bin/busybox", "usr/bin/busybox") if n in self.packages.names(self.plan["busybox"])), ""
        )
        if data := self._file(self.plan["busybox"], busybox or "bin/busybox", ("initrd", "busybox")):
            archive.file("bin/busybox", data, 0o755)
        if self.plan["grow"] and (data := self._file(self.plan["grow"], "usr/lib/farm/growroot", ("initrd", "grow"))):
            archive.file("bin/growroot", data, 0o755)
        order = self._module_order()
        top = self.packages.take(self.plan["kernel"], order)
        names = []
        for path in order:
            names.append(posixpath.basename(path).removesuffix(".xz"))
            archive.file(f"modules/{names[-1]}", _plain_module(top / path))
        archive.file("modules/order", "".join(f"{name}\n" for name in names).encode())
        return archive.finish()

    def _module_order(self) -> list[str]:
        """Paths of the modules in the package, what a module needs before it."""
        kernel = self.plan["kernel"]
        listed = next(iter(self.packages.matching(kernel, "*lib/modules/*/modules.dep")), "")
        if not listed:
            if self.plan["initrd_modules"]:
                message = f"{kernel} has no modules.dep"
                self.findings.add("no-modules", message, ("initrd", "modules"), "run depmod in the package's steps")
            return []
        top = posixpath.dirname(listed)
        names = [name for name in self.packages.names(kernel) if posixpath.dirname(name) == top]
        folder = self.packages.take(kernel, names)
        modules = Modules({posixpath.basename(name): (folder / name).read_text() for name in names if
                           posixpath.basename(name) in FILES})  # fmt: skip
        for index, wanted in enumerate(self.plan["initrd_modules"]):
            if not modules.knows(wanted):
                near = difflib.get_close_matches(wanted.replace("-", "_"), modules.names(), n=3)
                hint = f"did you mean {' or '.join(near)}?" if near else ""
                at: Names = ("initrd", "modules", index)
                self.findings.add("unknown-module", f"{kernel} has no module {wanted}", at, hint)
        return [f"{top}/{path}" for path in modules.order(self.plan["initrd_modules"])]

    def _modules_into_root(self) -> None:
        """The package's lib/modules, where the root has its libraries' folder."""
        kernel = self.plan["kernel"]
        names = [name for name in self.packages.names(kernel) if "lib/modules/" in name]
        top = self.packages.take(kernel, names)
        for name in names:
            path = top / name
            if path.is_file() and not path.is_symlink():
                self.over.file("/lib/modules/" + name.split("lib/modules/", 1)[1], path.read_bytes())

    def _configuration(self) -> None:
        boot, name = self.plan["boot"], self.plan["kernel_name"]
        line = self.plan["command_line"]
        if boot["extlinux"]:
            self._put("extlinux/extlinux.conf", self._extlinux(name, line).encode())
        if boot["config_txt"] is not None:
            added = [f"device_tree={posixpath.basename(self.plan['device_tree'])}"]
            if not boot["extlinux"] and boot["boot_scr"] is None:
                initrd = ["initramfs initrd.img followkernel"] if self.plan["busybox"] else []
                added = [f"kernel={name}", *initrd, *added]
            self._put("config.txt", "".join(f"{text}\n" for text in [*boot["config_txt"], *added]).encode())
            self._put("cmdline.txt", f"{line}\n".encode())
        if boot["boot_scr"] is not None:
            self._put("boot.scr", _script(script_text(line, boot["boot_scr"]), self.plan))

    def _extlinux(self, kernel: str, line: str) -> str:
        boot = self.plan["boot"]
        tree = f"fdtdir {self.prefix}/dtb" if boot["fdtdir"] else f"fdt {self.prefix}/dtb/{self.plan['device_tree']}"
        lines = [f"timeout {boot['timeout']}", "default farm", "label farm", f"    menu label {self.plan['name']}"]
        lines += [f"    linux {self.prefix}/{kernel}"]
        lines += [f"    initrd {self.prefix}/initrd.img"] if self.plan["busybox"] else []
        # A Raspberry Pi's firmware gives the boot loader the device tree that it has changed for this very board.
        lines += [f"    {tree}"] if self.plan["device_tree"] and boot["config_txt"] is None else []
        return "\n".join([*lines, f"    append {line}", ""])

    def _settings(self) -> None:
        """What the running system reads: its name, its file systems, what the first boot has to do."""
        plan = self.plan
        if plan["hostname"]:
            self.over.file("/etc/hostname", f"{plan['hostname']}\n".encode())
        self.over.file("/etc/fstab", _fstab(plan["partitions"]).encode())
        for part in plan["partitions"]:
            if part["mount"] not in ("", "/"):
                if wrong := self.over.hindrance(part["mount"], folder=True):
                    at: Names = ("partitions", part["number"] - 1, "mount")
                    self.findings.add("bad-mount", f"nothing can be mounted at {part['mount']}: {wrong}", at)
                    continue
                self.over.folder(part["mount"])
        for folder in ("dev", "proc", "sys", "run"):
            self.over.folder(folder)
        if plan["first_boot"]:
            self.over.file("/etc/farm-first-boot", f"{' '.join(plan['first_boot'])}\n".encode())

    def _files(self) -> None:
        for index, file in enumerate(self.plan["files"]):
            if wrong := self.over.hindrance(file["path"]):
                at: Names = ("root", "files", index, "path")
                self.findings.add("bad-path", f"{file['path']} cannot be a file of this root: {wrong}", at)
                continue
            data = Path(f"file-{index}").read_bytes() if file["source"] else file["content"].encode()
            self.over.file(file["path"], data, file["mode"])

    def _check_size(self) -> None:
        """The least that the root needs: its files and inodes; mke2fs has the last word."""
        part = next(part for part in self.plan["partitions"] if part["mount"] == "/")
        needed = self.root.blocks(4096) + self.over.size + len(self.root.kinds) * 256
        if needed > part["size"]:
            message = (
                f"the root needs {needed >> 20} MiB at least; partition {part['name']} has {part['size'] >> 20} MiB"
            )
            self.findings.add("root-too-large", message, ("partitions", part["number"] - 1, "size"), "make it larger")


def _plain_module(path: Path) -> bytes:
    """A module's bytes; the initial RAM disk's insmod may know no compression."""
    if fnmatch.fnmatch(path.name, "*.xz"):
        return lzma.decompress(path.read_bytes())
    if path.name.endswith(".zst"):
        return subprocess.run(["zstd", "-q", "-dc", str(path)], check=True, capture_output=True).stdout
    return path.read_bytes()


def _fstab(partitions: list[Plan]) -> str:
    lines = []
    for number, part in enumerate(sorted(partitions, key=lambda part: str(part["mount"]))):
        if part["mount"]:
            name = part["uuid"] if part["type"] == "ext4" else _serial(part["uuid"])
            kind, options = ("ext4", "defaults") if part["type"] == "ext4" else ("vfat", "defaults,nofail")
            lines.append(f"UUID={name} {part['mount']} {kind} {options} 0 {min(number + 1, 2)}\n")
    return "".join(lines)


def _serial(unique: str) -> str:
    """How a FAT's serial number is written."""
    digits = unique.replace("-", "")[:8].upper()
    return f"{digits[:4]}-{digits[4:]}"


def script_text(command_line: str, lines: list[str]) -> bytes:
    """A board's U-Boot script, which finds the kernel's command line in ``bootargs``; it has no ' in it."""
    return "\n".join([f"setenv bootargs '{command_line}'", *lines, ""]).encode()


def _script(text: bytes, plan: Plan) -> bytes:
    """A U-Boot script image, as ``mkimage -T script`` makes it (U-Boot, doc/usage/cmd/source.rst)."""
    data = struct.pack(">II", len(text), 0) + text
    architecture = _ARCHITECTURES[plan["platform"]]
    fields = (_UIMAGE_MAGIC, 0, plan["epoch"], len(data), 0, 0, zlib.crc32(data), 5, architecture, 6, 0)
    header = struct.pack(">7I4B32s", *fields, plan["name"].encode()[:31])
    return header[:4] + struct.pack(">I", zlib.crc32(header)) + header[8:] + data
