# SPDX-License-Identifier: GPL-3.0-or-later
"""Ends what a dead process began: back to the old state before the commit, on to the new one after it."""

from __future__ import annotations

from typing import Literal

from farm.client.config import ClientConfig
from farm.client.database import Database
from farm.client.progress import Progress, Report, nobody
from farm.client.transaction.finish import finish
from farm.client.transaction.journal import TransactionFolder
from farm.client.transaction.lock import locked
from farm.client.transaction.switch import Switch
from farm.spec.problem import FarmError

Ended = Literal["", "unchanged", "old", "new"]


def recover(config: ClientConfig, database: Database, report: Report = nobody, *, reading: bool = False) -> Ended:
    """To be called by every command before it looks at the root: to which state it was brought, empty: it was whole.

    FarmError ``locked`` while another process changes the root; with ``reading`` that is fine. ``bad-journal``.
    """
    folder = TransactionFolder(config)
    if not folder.path.exists():
        return ""
    try:
        with locked(config):
            return mend(config, database, folder, report)
    except FarmError as failure:
        if reading and failure.code == "locked":
            return ""
        raise


def mend(config: ClientConfig, database: Database, folder: TransactionFolder, report: Report) -> Ended:
    """`recover` for who has the lock. FarmError ``bad-journal``; OSError, and it can be tried again."""
    if not folder.path.exists():
        return ""
    journal = folder.read()
    if journal is None:
        folder.end()
        return "unchanged"
    if database.last_transaction() == journal.name:
        report(Progress("recover", text="a transaction that had been interrupted at its end was completed"))
        finish(config, folder, journal, report)
        return "new"
    with Switch(config.rootfs, journal.works) as switch:
        switch.backward(journal.steps)
    folder.end()
    report(Progress("recover", text="a transaction that had been interrupted was undone"))
    return "old"
