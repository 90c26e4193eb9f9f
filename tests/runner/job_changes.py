# SPDX-License-Identifier: GPL-3.0-or-later
"""What jobs do to their root and what their layer then has to hold, as a table."""

from __future__ import annotations

import dataclasses
import os
import stat
from pathlib import Path

_XATTR_CODE = "python -ISBc \"import os; open('/f','w').close(); os.setxattr('/f',{name!r},bytes.fromhex('{value}'))\""
_CAPABILITY = "0100000200040000000000000000000000000000"
"""VFS_CAP_REVISION_2, effective, cap_net_bind_service (include/uapi/linux/capability.h, struct vfs_cap_data)."""

_LONG = "n" * 200


@dataclasses.dataclass(frozen=True)
class Change:
    """``before`` makes a layer; ``steps`` run on top of it and make the layer that has to be as `listing` says.

    ``python``: needs the layer with Python. ``node``: makes a device node, which an ordinary user cannot.
    """

    name: str
    steps: tuple[str, ...]
    expected: dict[str, str]
    before: tuple[str, ...] = ()
    python: bool = False
    node: bool = False


CHANGES = (
    Change("nothing", ("true",), {}),
    Change("file", ("echo hello >/f",), {"f": "file 644 0:0 'hello\\n'"}),
    Change("empty-file", (": >/f",), {"f": "file 644 0:0 ''"}),
    Change("empty-folder", ("mkdir -p /a/b",), {"a": "dir 755 0:0", "a/b": "dir 755 0:0"}),
    Change("modes", ("mkdir -m 1777 /s; mkdir -m 2775 /g",), {"g": "dir 2775 0:0", "s": "dir 1777 0:0"}),
    Change(
        "set-id",
        ("echo x >/f; chown 7:8 /f; chmod 6755 /f",),
        {"f": "file 6755 7:8 'x\\n'"},
    ),
    Change("owner", ("mkdir /d; chown 65533:65532 /d",), {"d": "dir 755 65533:65532"}),
    Change("link-owner", ("ln -s nowhere /l; chown -h 5:6 /l",), {"l": "link 5:6 nowhere"}),
    Change("fifo", ("mkfifo -m 600 /p",), {"p": "fifo 600 0:0"}),
    Change("node", ("mknod /n c 1 3",), {"n": "char 644 0:0 1:3"}, node=True),
    Change(
        "hard-links",
        ("echo x >/a; ln /a /b",),
        {"a": "file 644 0:0 'x\\n' links 2", "b": "file 644 0:0 'x\\n' links 2"},
    ),
    Change("removed-file", ("rm /f",), {"f": "whiteout"}, before=("echo x >/f",)),
    Change("removed-folder", ("rm -r /d",), {"d": "whiteout"}, before=("mkdir -p /d/e; echo x >/d/f",)),
    Change(
        "replaced-folder",
        ("rm -r /d; mkdir /d; echo y >/d/g",),
        {"d": "dir 755 0:0 opaque", "d/g": "file 644 0:0 'y\\n'"},
        before=("mkdir /d; echo x >/d/f",),
    ),
    Change(
        "file-to-folder",
        ("rm /t; mkdir /t; echo y >/t/g",),
        {"t": "dir 755 0:0", "t/g": "file 644 0:0 'y\\n'"},
        before=("echo x >/t",),
    ),
    Change("folder-to-link", ("rm -r /t; ln -s bin /t",), {"t": "link 0:0 bin"}, before=("mkdir /t; echo x >/t/f",)),
    Change("link-to-file", ("rm /t; echo y >/t",), {"t": "file 644 0:0 'y\\n'"}, before=("ln -s bin /t",)),
    Change("same-again", ("touch /f; chmod 600 /f; chmod 644 /f",), {}, before=("echo x >/f",)),
    Change("moved", ("mv /f /g",), {"f": "whiteout", "g": "file 644 0:0 'x\\n'"}, before=("echo x >/f",)),
    Change("mode-only", ("chmod 711 /d",), {"d": "dir 711 0:0"}, before=("mkdir /d; echo x >/d/f",)),
    Change("appended", ("echo y >>/f",), {"f": "file 644 0:0 'x\\ny\\n'"}, before=("echo x >/f",)),
    Change("odd-name", ("echo x >\"$(printf '/\\351 \\n*')\"",), {"\udce9 \n*": "file 644 0:0 'x\\n'"}),
    Change("workdir-left-out", ("mkdir -p sub; echo x >sub/f",), {}),
    Change(
        "etc-of-the-farm",
        ("echo 1.2.3.4 x >>/etc/hosts; echo x >/etc/own",),
        {"etc": "dir 755 0:0", "etc/own": "file 644 0:0 'x\\n'"},
    ),
    Change(
        "xattr",
        (_XATTR_CODE.format(name="user.note", value="00ff41"),),
        {"f": "file 644 0:0 '' user.note=00ff41"},
        python=True,
    ),
    Change(
        "capability",
        (_XATTR_CODE.format(name="security.capability", value=_CAPABILITY),),
        {"f": f"file 644 0:0 '' security.capability={_CAPABILITY}"},
        python=True,
    ),
    Change(
        "deep",
        (
            f"""python -ISBc "import os; os.mkdir('/deep'); os.chdir('/deep')
for n in range(30): os.mkdir('{_LONG}'); os.chdir('{_LONG}')
open('bottom', 'w').close()" """,
        ),
        {
            "deep": "dir 755 0:0",
            **{"/".join(["deep", *[_LONG] * n]): "dir 755 0:0" for n in range(1, 31)},
            "/".join(["deep", *[_LONG] * 30, "bottom"]): "file 644 0:0 ''",
        },
        python=True,
    ),
    Change(
        "socket",
        ("python -ISBc \"import socket; socket.socket(socket.AF_UNIX).bind('/s')\"; echo x >/f",),
        {"f": "file 644 0:0 'x\\n'"},
        python=True,
    ),
)


def listing(layer: Path) -> dict[str, str]:
    """What a layer's folder holds, folders that only lead to something included if they are entries: path to text."""
    found: dict[str, str] = {}
    top = os.open(layer, os.O_RDONLY | os.O_DIRECTORY)
    _list(top, "", found)
    return found


def _list(folder: int, prefix: str, found: dict[str, str]) -> None:
    try:
        for name in sorted(os.listdir(folder)):
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
            found[prefix + name] = _describe(name, folder, status)
            if stat.S_ISDIR(status.st_mode):
                _list(os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=folder), f"{prefix}{name}/", found)
    finally:
        os.close(folder)


def _describe(name: str, folder: int, status: os.stat_result) -> str:
    owner = f"{status.st_uid}:{status.st_gid}"
    mode = f"{stat.S_IMODE(status.st_mode):o}"
    if stat.S_ISLNK(status.st_mode):
        return f"link {owner} {os.readlink(name, dir_fd=folder)}"
    if stat.S_ISCHR(status.st_mode):
        number = (os.major(status.st_rdev), os.minor(status.st_rdev))
        return "whiteout" if number == (0, 0) else f"char {mode} {owner} {number[0]}:{number[1]}"
    if stat.S_ISFIFO(status.st_mode):
        return f"fifo {mode} {owner}"
    if stat.S_ISSOCK(status.st_mode):
        return f"socket {mode} {owner}"
    fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=folder)
    try:
        return _describe_open(fd, status, mode, owner)
    finally:
        os.close(fd)


def _describe_open(fd: int, status: os.stat_result, mode: str, owner: str) -> str:
    attributes = {key: os.getxattr(fd, key) for key in sorted(os.listxattr(fd))}
    opaque = " opaque" if attributes.pop("user.overlay.opaque", b"") == b"y" else ""
    rest = "".join(f" {key}={value.hex()}" for key, value in attributes.items())
    if stat.S_ISDIR(status.st_mode):
        return f"dir {mode} {owner}{opaque}{rest}"
    text = os.read(fd, 1000).decode("latin-1")
    links = f" links {status.st_nlink}" if status.st_nlink > 1 else ""
    return f"file {mode} {owner} {text!r}{rest}{links}"
