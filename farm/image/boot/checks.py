# SPDX-License-Identifier: GPL-3.0-or-later
"""What is checked in a guest that has booted: commands at its console, by a person's means."""

from __future__ import annotations

import dataclasses
import re

from farm.image.boot.guest import Guest
from farm.image.boot.machine import Machine
from farm.image.model import Board, Check
from farm.spec.problem import FarmError, error

LOGIN = rb"login: $"
_PROMPT = rb"[#$] (\x1b\[6n)?$"
_ANSWER = 60.0


@dataclasses.dataclass(frozen=True, slots=True)
class Checked:
    """How a check went: ``problem`` is empty when it went well."""

    name: str
    seconds: float
    output: str
    problem: str = ""


def usual_checks(board: Board, machine: Machine, card: int, token: str, port: int) -> list[Check]:
    """Checks of every board: kernel, root, first boot, name, and network where the machine has one.

    ``token`` is served at ``port`` of the host, which the guest knows as 10.0.2.2.
    """
    checks = [
        Check("kernel", "uname -srm; cat /proc/device-tree/model", "^Linux [0-9]"),
        Check("root is mounted", "grep -E '^[^ ]+ / ext4 rw' /proc/mounts", "ext4"),
    ]
    if "grow-root" in board.first_boot:
        least = (card - board.root.start) // 1024 * 9 // 10
        run = f"set -- $(df -k / | tail -n 1); echo $2; [ $2 -ge {least} ]"
        checks.append(Check("root has grown to the card", run, "^[0-9]+"))
    if "machine-id" in board.first_boot:
        checks.append(Check("machine id", "cat /etc/machine-id", "^[0-9a-f]{32}\\s*$"))
    if board.first_boot:
        checks.append(Check("first boot is over", "[ ! -e /etc/farm-first-boot ]", ""))
    if board.hostname:
        checks.append(Check("host name", "cat /proc/sys/kernel/hostname", f"^{re.escape(board.hostname)}"))
    if machine.network:
        # The lease may take some seconds.
        run = f"for i in 1 2 3 4 5 6 7 8; do wget -q -O - http://10.0.2.2:{port}/ && break; sleep 2; done"
        checks.append(Check("network", run, re.escape(token)))
    return [*checks, *(board.test.checks if board.test else ())]


async def log_in(guest: Guest, board: Board, timeout: float) -> str:
    """Waits for the login prompt and logs in with the first user that has a password; the user's name.

    FarmError as `Guest.expect`, ``no-login`` when the password is refused. Empty when nobody has a password.
    """
    await guest.expect(LOGIN, timeout)
    user = next((user for user in board.users if user.password), None)
    if user is None:
        return ""
    await guest.type(f"{user.name}\n")
    await guest.expect(rb"[Pp]assword: ?$", _ANSWER)
    await guest.type(f"{user.password}\n")
    found = await guest.expect(_PROMPT + b"|[Ll]ogin incorrect", _ANSWER)
    if b"ncorrect" in found[0]:
        raise error("no-login", f"the console refuses the password of {user.name}")
    # Without the line's echo and the prompt's colours, answers are what commands say.
    await guest.type("stty -echo; PS1=; echo READY''-NOW\n")
    await guest.expect(rb"READY-NOW\r?\n", _ANSWER)
    return user.name


async def run_check(guest: Guest, check: Check, number: int) -> Checked:
    """Runs one command in the guest's shell and judges its status and output."""
    begun = guest.seconds
    await guest.type(f"echo BEGIN''-{number}; ( {check.run} ) 2>&1; echo END''-{number} $?\n")
    try:
        await guest.expect(rb"BEGIN-%d\r?\n" % number, _ANSWER)
        start = guest.position
        found = await guest.expect(rb"END-%d (\d+)\r?\n" % number, _ANSWER)
    except FarmError as failure:
        return Checked(check.name, guest.seconds - begun, "", failure.problems[0].message)
    text = bytes(guest.console[start : found.start()]).decode(errors="replace").replace("\0", "").replace("\r\n", "\n")
    problem = f"exit status {int(found[1])}" if int(found[1]) else ""
    if not problem and check.expect and not re.search(check.expect, text, re.MULTILINE):
        problem = f"its output does not match {check.expect!r}"
    return Checked(check.name, guest.seconds - begun, text, problem)
