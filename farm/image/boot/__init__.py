# SPDX-License-Identifier: GPL-3.0-or-later
"""Images in QEMU: how a board is emulated, its console, what is checked in it, and the report."""
