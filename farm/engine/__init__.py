# SPDX-License-Identifier: GPL-3.0-or-later
"""Floor 4: schedules a plan, keeps the journal, retries, cancels, tells events."""
