# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes a root in one step, or not at all, whatever dies in between (docs/transactions.md has the protocol)."""
