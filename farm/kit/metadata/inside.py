# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs inside the confinement: portage's ``egencache`` over a repository that comes as a tar on standard input.

The metadata/md5-cache that it made goes out as a tar on file descriptor 1; what portage said, on 2. A program of its
own, on the standard library and portage alone. Arguments: jobs, seconds that one ebuild may take.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

WORK = Path("/tmp/farm")
KIT = WORK / "kit"
CONFIG = """[DEFAULT]
main-repo = farm-view

[farm-view]
location = /tmp/farm/kit
auto-sync = no
"""


def main() -> int:
    """Unpacks, scans, and hands out; the exit status is egencache's."""
    jobs, limit = sys.argv[1], float(sys.argv[2])
    KIT.mkdir(parents=True)
    (WORK / "cache").mkdir()
    with tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as tar:
        tar.extractall(KIT, filter="data")
    profile = WORK / "etc/portage"
    profile.mkdir(parents=True)
    (profile / "make.profile").symlink_to(KIT / "profiles/farm")
    command = [sys.executable, f"{os.path.dirname(sys.executable)}/egencache", "--update", f"--jobs={jobs}",  # noqa: PTH120
               "--tolerant", "--repo=farm-view", f"--cache-dir={WORK}/cache", "--config-root", str(WORK),
               "--repositories-configuration", CONFIG]  # fmt: skip
    env = {**os.environ, "PORTAGE_TMPDIR": str(WORK), "PORTAGE_USERNAME": "portage", "PORTAGE_GRPNAME": "portage",
           "FEATURES": "-sandbox -usersandbox -userpriv -network-sandbox -news", "NOCOLOR": "1"}  # fmt: skip
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=2, env=env)
    while process.poll() is None:
        kill_slow(limit)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(1)
    with tarfile.open(fileobj=sys.stdout.buffer, mode="w|") as tar:
        if (KIT / "metadata/md5-cache").is_dir():
            tar.add(KIT / "metadata/md5-cache", ".")
    return process.returncode


def kill_slow(limit: float) -> None:
    """Kills shells of ebuilds that have run for longer than ``limit`` seconds."""
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        with contextlib.suppress(OSError, ValueError, IndexError):
            if b"ebuild.sh" in (folder / "cmdline").read_bytes():
                started = int((folder / "stat").read_text().rpartition(")")[2].split()[19])
                if now - started / os.sysconf("SC_CLK_TCK") > limit:
                    os.kill(int(folder.name), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
