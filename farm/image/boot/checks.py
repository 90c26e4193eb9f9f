# SPDX-License-Identifier: GPL-3.0-or-later
"""What is checked in a guest that has booted: commands at its console, by a person's means.

A command that ends with exit status 77 does not apply to this root or machine: it is reported as skipped.
"""

from __future__ import annotations

import dataclasses
import re

from farm.image.boot.guest import Guest
from farm.image.boot.machine import Machine
from farm.image.model import Board, Check
from farm.spec.problem import FarmError, error

LOGIN = rb"login: "
_PROMPT = rb"[#$] (\x1b\[6n)?"
_ANSWER = 60.0
_NOT_HERE = 77
"""The exit status of a check that does not apply, as in Automake's tests."""
_HOST = "10.0.2.2"
"""What QEMU's user network calls the host's loopback interface."""

_COMPILE = r"""command -v cc >/dev/null || { echo 'there is no compiler in this root'; exit 77; }; cd /tmp && \
printf '#include <stdio.h>\nint main(void) { puts("made and run in the guest"); return 0; }\n' >made.c && \
cc -o made made.c && ./made"""


@dataclasses.dataclass(frozen=True, slots=True)
class Checked:
    """How a check went: ``problem`` is empty when it went well, ``skipped`` says why it does not apply."""

    name: str
    seconds: float
    output: str
    problem: str = ""
    skipped: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Served:
    """What the host serves to the guest: a word at one port, and a wagon at another (0: none)."""

    token: str
    port: int
    wagon: int = 0


def usual_checks(board: Board, machine: Machine, card: int, served: Served) -> list[Check]:
    """Checks of every board: kernel, root, first boot, name; network and packages where the machine has a network;
    the compiler where the root has one; then the board's own."""
    checks = [
        Check("kernel", "uname -srm; cat /proc/device-tree/model", "^Linux [0-9]"),
        Check("root is mounted", "grep -E '^[^ ]+ / ext4 rw' /proc/mounts", "ext4"),
    ]
    for part in board.partitions:
        if part.mount and part.mount != "/":
            checks.append(Check(f"{part.mount} is mounted", f"grep ' {part.mount} ' /proc/mounts", "fat|ext4"))
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
        run = f"for i in 1 2 3 4 5 6 7 8; do wget -q -O - http://{_HOST}:{served.port}/ && break; sleep 2; done"
        checks.append(Check("network", run, re.escape(served.token)))
    if board.test:
        checks += [_installed(word, machine, served.wagon) for word in board.test.install]
    checks.append(Check("the compiler runs", _COMPILE, "^made and run in the guest"))
    return [*checks, *(board.test.checks if board.test else ())]


def _installed(word: str, machine: Machine, wagon: int) -> Check:
    name = word.partition("@")[0]
    run = f"wagon-install http://{_HOST}:{wagon} {name}"
    if not machine.network:
        run = f"echo 'QEMU has no network for this machine'; exit {_NOT_HERE}"
    elif not wagon:
        run = f"echo 'there is no wagon'; exit {_NOT_HERE}"
    return Check(f"{name} is installed from our wagon", run, f"^installed {re.escape(name)}-")


async def log_in(guest: Guest, board: Board, timeout: float) -> str:
    """Waits for the login prompt and logs in with the first user that has a password; the user's name.

    FarmError as `Guest.expect`, ``no-login`` when the password is refused. Empty when nobody has a password.
    """
    await guest.prompt(LOGIN, timeout)
    user = next((user for user in board.users if user.password), None)
    if user is None:
        return ""
    await guest.type(f"{user.name}\n")
    await guest.prompt(rb"[Pp]assword: ?", _ANSWER)
    await guest.type(f"{user.password}\n")
    found = await guest.prompt(_PROMPT + rb"|[Ll]ogin incorrect(?s:.*)", _ANSWER)
    if b"ncorrect" in found[0]:
        raise error("no-login", f"the console refuses the password of {user.name}")
    # Without the line's echo, prompts and the kernel's messages (but those of a panic), answers are what commands say.
    await guest.type("stty -echo; PS1=; PS2=; dmesg -n 1; echo READY''-NOW\n")
    await guest.expect(rb"READY-NOW\r?\n", _ANSWER)
    return user.name


async def run_check(guest: Guest, check: Check, number: int, patience: float = _ANSWER) -> Checked:
    """Runs one command in the guest's shell, for ``patience`` seconds, and judges its status and output."""
    begun = guest.seconds
    await guest.type(f"echo BEGIN''-{number}; ( {check.run}\n) 2>&1; echo END''-{number} $?\n")
    try:
        await guest.expect(rb"BEGIN-%d\r?\n" % number, _ANSWER)
        start = guest.position
        found = await guest.expect(rb"END-%d (\d+)\r?\n" % number, max(_ANSWER, patience))
    except FarmError as failure:
        return Checked(check.name, guest.seconds - begun, "", failure.problems[0].message)
    text = bytes(guest.console[start : found.start()]).decode(errors="replace").replace("\0", "").replace("\r\n", "\n")
    if int(found[1]) == _NOT_HERE:
        return Checked(check.name, guest.seconds - begun, text, skipped=text.strip() or "it does not apply")
    problem = f"exit status {int(found[1])}" if int(found[1]) else ""
    if not problem and check.expect and not re.search(check.expect, text, re.MULTILINE):
        problem = f"its output does not match {check.expect!r}"
    return Checked(check.name, guest.seconds - begun, text, problem)
