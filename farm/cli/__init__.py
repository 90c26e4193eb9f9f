# SPDX-License-Identifier: GPL-3.0-or-later
"""Floor 7: commands, options, screens. Decides nothing."""
