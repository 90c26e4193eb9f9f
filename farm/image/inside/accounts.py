# SPDX-License-Identifier: GPL-3.0-or-later
"""Users of the image: lines of passwd(5), shadow(5) and group(5), home folders, keys that may log in."""

from __future__ import annotations

import hashlib
import subprocess
from typing import Any

from farm.image.inside.report import Findings
from farm.image.inside.roottar import Over, Root

_FIRST = 1000
_DAY = 86400

Lines = dict[str, list[str]]


def apply(plan: dict[str, Any], root: Root, over: Over, findings: Findings) -> None:
    """Adds the board's users to those of the root."""
    if not plan["users"]:
        return
    passwd, shadow, group = (_read(root, f"/etc/{name}") for name in ("passwd", "shadow", "group"))
    passwd.setdefault("root", ["root", "x", "0", "0", "root", "/root", "/bin/sh"])
    group.setdefault("root", ["root", "x", "0", ""])
    for index, user in enumerate(plan["users"]):
        known = passwd.get(user["name"])
        if known is None:
            known = _new(user, passwd, group)
            passwd[user["name"]] = known
        secret = _hash(user, plan["name"])
        day = str(plan["epoch"] // _DAY)
        shadow[user["name"]] = [user["name"], secret, day, "0", "99999", "7", "", "", ""]
        known[1] = "x"
        _join_groups(user, index, group, findings)
        _home(user, known, over)
    _write(over, "/etc/passwd", passwd, 0o644)
    _write(over, "/etc/group", group, 0o644)
    _write(over, "/etc/shadow", shadow, 0o600)


def _read(root: Root, path: str) -> Lines:
    text = (root.read(path) or b"").decode("utf-8", "surrogateescape")
    rows = [line.split(":") for line in text.splitlines() if line.strip()]
    return {row[0]: row for row in rows if len(row) > 3}


def _write(over: Over, path: str, lines: Lines, mode: int) -> None:
    text = "".join(":".join(row) + "\n" for row in lines.values())
    over.file(path, text.encode("utf-8", "surrogateescape"), mode)


def _new(user: dict[str, Any], passwd: Lines, group: Lines) -> list[str]:
    taken = {int(row[2]) for row in [*passwd.values(), *group.values()] if row[2].isdigit()}
    number = user["uid"]
    if number is None:
        number = next(free for free in range(_FIRST, 60000) if free not in taken)
    group.setdefault(user["name"], [user["name"], "x", str(number), ""])
    primary = group[user["name"]][2]
    return [user["name"], "x", str(number), primary, user["name"], f"/home/{user['name']}", user["shell"]]


def _hash(user: dict[str, Any], board: str) -> str:
    """The second field of shadow(5). The salt depends on board and user: the same image each time."""
    if user["password_hash"]:
        return str(user["password_hash"])
    if not user["password"]:
        return "!"
    salt = hashlib.sha256(f"{board}/{user['name']}".encode()).hexdigest()[:16]
    command = ["perl", "-e", "chomp(my $p = <STDIN>); print crypt($p, $ARGV[0])", f"$6${salt}$"]
    made = subprocess.run(command, input=f"{user['password']}\n", capture_output=True, text=True, check=True).stdout
    if not made.startswith("$6$"):
        raise SystemExit("the tools' crypt(3) knows no SHA-512")
    return made


def _join_groups(user: dict[str, Any], index: int, group: Lines, findings: Findings) -> None:
    for number, name in enumerate(user["groups"]):
        if name not in group:
            hint = "the root has " + ", ".join(sorted(group))
            findings.add("unknown-group", f"the root has no group {name}", ("users", index, "groups", number), hint)
            continue
        members = [member for member in group[name][3].split(",") if member]
        group[name][3] = ",".join([*members, *([] if user["name"] in members else [user["name"]])])


def _home(user: dict[str, Any], row: list[str], over: Over) -> None:
    owner = int(row[2]), int(row[3])
    home = over.folder(row[5], 0o700, owner)
    if user["ssh_keys"]:
        over.folder(f"{home}/.ssh", 0o700, owner)
        keys = "".join(f"{key}\n" for key in user["ssh_keys"])
        over.file(f"{home}/.ssh/authorized_keys", keys.encode(), 0o600, owner)
