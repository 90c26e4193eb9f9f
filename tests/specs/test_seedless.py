# SPDX-License-Identifier: GPL-3.0-or-later
"""The check that nothing of the seed is in a system, on small roots with one fault each."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from small_elf import elf

SCRIPT = Path(__file__).parents[2] / "specs" / "mfs" / "check-seedless" / "seedless"
IDENT = b"GCC: (GNU) 12.2.0\0"

pytestmark = pytest.mark.skipif(not shutil.which("readelf"), reason="no readelf on this host (package binutils)")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root in which nothing is wrong."""
    root = tmp_path / "root"
    (root / "usr/lib").mkdir(parents=True)
    (root / "usr/bin").mkdir()
    (root / "lib").symlink_to("usr/lib")
    (root / "usr/lib/libc.so").write_bytes(elf("", sections={".comment": IDENT}))
    (root / "usr/bin/true").write_bytes(elf(needed=["libc.so"], sections={".comment": IDENT}))
    (root / "usr/bin/script").write_text("#!/bin/sh\n# toolset /usr/share/tools is nobody's seed\n")
    return root


def seedless(root: Path) -> tuple[int, list[str]]:
    """Exit status and lines of the check."""
    done = subprocess.run(["sh", SCRIPT, root], capture_output=True, text=True)
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()


def test_clean_root(root: Path) -> None:
    assert seedless(root) == (0, ["0 of 3 files have something of another system"])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (elf("/lib64/ld-linux-x86-64.so.2"), "interpreter /lib64/ld-linux-x86-64.so.2"),
        (elf("/tools/lib/ld.so"), "interpreter /tools/lib/ld.so"),
        (elf(runpath="/opt/lib"), "search path /opt/lib"),
        (elf(rpath="$ORIGIN/../lib"), "search path $ORIGIN/../lib"),
        (elf(sections={".debug_info": b"1234"}), "debugging sections .debug_info "),
        (elf(sections={".comment": b"GCC: (Debian 12.2.0-14) 12.2.0\0"}), "compiled by GCC: (Debian 12.2.0-14) 12.2.0"),
        (elf(needed=["libc.so.6"]), "needs libc.so.6, which is not there"),
        (b"-L/tools/lib -lc", "has the text -L/tools/lib -lc"),
        (b"\0\0/tools/bin/gcc\0\0", "has the text /tools/bin/gcc"),
        (b"in /luetbuild/source", "has the text in /luetbuild/source"),
        (b"/usr/lib/x86_64-linux-gnu", "has the text /usr/lib/x86_64-linux-gnu"),
        (b"arm-linux-gnueabihf-gcc", "has the text arm-linux-gnueabihf-gcc"),
    ],
)
def test_one_fault(root: Path, content: bytes, said: str) -> None:
    (root / "usr/lib/planted file").write_bytes(content)
    status, lines = seedless(root)
    assert status == 1
    assert f"/usr/lib/planted file: {said}" in lines
    assert lines[-1] == "1 of 4 files have something of another system"


def test_every_fault_is_told(root: Path) -> None:
    (root / "usr/bin/one").write_bytes(elf("/lib64/ld-linux-x86-64.so.2", ["libm.so.6"], runpath="/tools/lib"))
    (root / "usr/bin/two").symlink_to("/tools/bin/two")
    status, lines = seedless(root)
    assert status == 1
    assert len([line for line in lines if line.startswith("/usr/bin/one: ")]) == 4
    assert "/usr/bin/two: is a link to /tools/bin/two" in lines


def test_glibc_is_right_where_it_is_the_library(root: Path) -> None:
    (root / "usr/include/gnu").mkdir(parents=True)
    (root / "usr/include/gnu/libc-version.h").write_text("\n")
    (root / "usr/bin/dynamic").write_bytes(elf("/lib64/ld-linux-x86-64.so.2"))
    assert seedless(root)[0] == 0
