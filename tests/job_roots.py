# SPDX-License-Identifier: GPL-3.0-or-later
"""Root file systems for tests, as tarballs: Debian's static busybox, and the Python that runs the tests."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from pathlib import Path

FOLDERS = ("bin", "etc", "root", "usr")
_LEFT_OUT = {
    "__pycache__",
    "site-packages",
    "dist-packages",
    "test",
    "tests",
    "idlelib",
    "lib2to3",
    "ensurepip",
    "tkinter",
}


def busybox() -> Path | None:
    """The host's static busybox (package busybox-static)."""
    found = shutil.which("busybox", path="/usr/bin:/bin:/usr/local/bin")
    return Path(found) if found else None


def busybox_tar(folder: Path) -> Path:
    """A root tarball with a shell, in ``folder``; skips the test where there is no busybox."""
    import pytest

    program = busybox()
    if program is None:
        pytest.skip("no static busybox on this host (package busybox-static)")
    path = folder / "busybox.tar"
    path.write_bytes(busybox_root(program).getvalue())
    return path


def busybox_root(program: Path) -> io.BytesIO:
    """``/bin/busybox``, with a hard link to it for each applet."""
    out = io.BytesIO()
    applets = subprocess.run([program, "--list"], check=True, capture_output=True, text=True).stdout.split()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name in FOLDERS:
            _add_folder(tar, name)
        entry = tarfile.TarInfo("bin/busybox")
        entry.size, entry.mode = program.stat().st_size, 0o755
        tar.addfile(entry, io.BytesIO(program.read_bytes()))
        for name in sorted(set(applets) - {"busybox"}):
            entry = tarfile.TarInfo(f"bin/{name}")
            entry.type, entry.linkname, entry.mode = tarfile.LNKTYPE, "bin/busybox", 0o755
            tar.addfile(entry)
    out.seek(0)
    return out


def python_root() -> io.BytesIO:
    """This Python with what its standard library needs, at the same paths, and ``/bin/python`` as a link to it."""
    out = io.BytesIO()
    program = Path(sys.executable).resolve()
    library = Path(sysconfig.get_path("stdlib"))
    modules = [path for path in library.rglob("*.so") if path.name.startswith(("_ctypes.", "_socket."))]
    with tarfile.open(fileobj=out, mode="w") as tar:
        for path in sorted({program, *_libraries(program, *modules)}):
            tar.add(path.resolve(), str(path).lstrip("/"), recursive=False)
        tar.add(library, str(library).lstrip("/"), filter=_wanted)
        entry = tarfile.TarInfo("bin/python")
        entry.type, entry.linkname = tarfile.SYMTYPE, str(program)
        tar.addfile(entry)
    out.seek(0)
    return out


def _add_folder(tar: tarfile.TarFile, name: str) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = tarfile.DIRTYPE, 0o755
    tar.addfile(entry)


def _wanted(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    parts = set(entry.name.split("/"))
    skipped = parts & _LEFT_OUT or "/config-3" in entry.name or not (entry.isfile() or entry.isdir())
    return None if skipped else entry


def _libraries(*programs: Path) -> set[Path]:
    found = set()
    for program in programs:
        lines = subprocess.run(["ldd", program], check=False, capture_output=True, text=True).stdout.splitlines()
        words = [word for line in lines for word in line.split()]
        found |= {Path(word) for word in words if word.startswith("/")}
    return found
