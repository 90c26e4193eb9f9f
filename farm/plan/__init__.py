# SPDX-License-Identifier: GPL-3.0-or-later
"""Floor 1: packages to jobs, keys and reasons. Pure: no I/O."""
