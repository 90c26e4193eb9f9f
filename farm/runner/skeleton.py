# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in every root before any layer. The same for all runners, and never part of what a job makes."""

from __future__ import annotations

from pathlib import Path

HOSTNAME = "farm"

FOLDERS: tuple[tuple[str, int], ...] = (
    ("dev", 0o755),
    ("etc", 0o755),
    ("proc", 0o555),
    ("run", 0o755),
    ("sys", 0o555),
    ("tmp", 0o1777),
    ("var", 0o755),
    ("var/tmp", 0o1777),
)
"""Path below the root and mode, parents first."""

NAMES = ("hosts", "hostname", "resolv.conf")
"""Files of /etc that are the farm's own while a job runs."""


def make_skeleton(folder: Path) -> None:
    """Fills the empty ``folder`` with what lies below the lowest layer of a root."""
    for path, mode in FOLDERS:
        made = folder / path
        made.mkdir()
        made.chmod(mode)
    for name in NAMES:
        made = folder / "etc" / name
        made.touch()
        made.chmod(0o644)


def etc_files(*, network: bool) -> dict[str, str]:
    """What the `NAMES` say to a job."""
    return {
        "hosts": f"127.0.0.1\tlocalhost {HOSTNAME}\n::1\tlocalhost ip6-localhost ip6-loopback\n",
        "hostname": f"{HOSTNAME}\n",
        "resolv.conf": _resolver() if network else "",
    }


def _resolver() -> str:
    try:
        return Path("/etc/resolv.conf").read_text(errors="replace")
    except OSError:
        return ""
